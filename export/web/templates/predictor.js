// Photo -> faces with landmarks, as export/inference/predictor.py finds them.
//
//   import {loadPredictor} from "./predictor.js";
//   const predictor = await loadPredictor();
//   const faces = await predictor.predict(context.getImageData(0, 0, width, height));
//
// A face: `landmarks` [[x, y]] in pixels with integers at their centres; `box` where it was looked
// for; `score` of the detector, NaN for a box that was given; `confidence` 0 to 1, NaN if unknown;
// `uncertainty`, each point's expected error in pixels; `pose` [yaw, pitch, roll] in degrees or null;
// `attributes`, name -> [class, probability]; `depth` of each point in pixels or null, and `pose3d`,
// the pose of the points with their depth; `expression`, measure -> value, or null.

import {anchorCentres, findFaces} from "./blazeface.js";
import {expressionOf} from "./expression.js";
import {apply, centre, cropBox, invert, photoBox, toCrop, warp} from "./geometry.js";
import {loadModel, readJson} from "./model.js";
import {makePasses} from "./passes.js";
import {canonicalBox, poseOf, poseOf3d, rollOfLandmarks, turnedPose} from "./pose.js";

const FORMAT_VERSION = 2; // of page.json
const OUTPUTS = ["landmarks", "variance", "depth", "pose", "attributes"];

// Raises an Error that says what is wrong with the folder's files.
export async function loadPredictor() {
  const page = await readJson("page.json");
  if (page.format_version !== FORMAT_VERSION)
    throw new Error("page.json is of another version of this page. Write the folder again.");
  const [model, short, full] = await Promise.all([
    loadModel(`model/${page.model}`, OUTPUTS),
    ...["short", "full"].map(name => loadNetwork(page.detector[name])),
  ]);
  if (model.contract.scheme !== page.scheme.name)
    throw new Error(`model/${page.model}.json has the scheme ${model.contract.scheme}, page.json has ` +
      `${page.scheme.name}. Write the folder again.`);
  return makePredictor(page, model, {short, full});
}

async function loadNetwork({name, threshold, weights}) {
  const network = await loadModel(`detector/${name}`, ["boxes", "scores"]);
  threshold ??= network.contract.score_threshold;
  return {...network, threshold, weights, centres: anchorCentres(network.contract)};
}

function makePredictor(page, model, networks) {
  const {constants, scheme} = page, spec = model.contract.crop, isOfPhoto = spec.of === "photo";

  async function detect(photo) {
    if (isOfPhoto) return [{box: photoBox(photo), score: 1, roll: NaN}];
    return findFaces(photo, networks, constants);
  }

  // `places`: [{box, roll, score}] from `source`, "landmarks" or the detector's name.
  async function faces(photo, places, source) {
    const correction = isOfPhoto ? {shift: [0, 0], scale: [1, 1]} : page.corrections[source];
    const forward = crop => forwardPass(photo, crop), found = [];
    for (const {box, roll = NaN, score = NaN} of places) {
      const given = isOfPhoto ? photoBox(photo) : box, passes = isOfPhoto ? 1 : constants.PASSES;
      const view = {photo, spec, scheme, constants};
      const outputs = await makePasses(forward, given, isOfPhoto ? NaN : roll ?? NaN, correction, view, passes);
      const {landmarks, depth} = outputs;
      found.push({
        ...outputs, box: given, score, attributes: named(outputs.attributes),
        pose: outputs.pose ?? poseOf(landmarks, scheme),
        pose3d: depth && poseOf3d(landmarks.map(([x, y], i) => [x, y, depth[i]]), scheme),
        expression: expressionOf(landmarks, scheme, constants),
      });
    }
    return found;
  }

  async function forwardPass(photo, {box, roll}) {
    const region = cropBox(box, spec, photo, roll);
    if (!region) throw new Error(`The face box ${box.map(edge => edge.toFixed(1))} shows no part of the photo.`);
    const transform = toCrop(region, roll, centre(box)), back = invert(transform);
    const pixels = warp(photo, transform, model.size), outputs = await model.run(pixels);
    const points = pairs(outputs.landmarks);
    const spread = outputs.variance ? [...outputs.variance].map(value => Math.sqrt(Math.max(value, 0))) :
      await distances(pixels, points);
    const width = region[2] - region[0], height = region[3] - region[1];
    return {
      landmarks: points.map(point => apply(back, point)),
      confidence: confidenceOf(spread),
      uncertainty: expectedErrors(spread).map(error => error * Math.sqrt(width * height)),
      pose: outputs.pose ? turnedPose([...outputs.pose], roll) : null,
      attributes: outputs.attributes,
      depth: outputs.depth ? depths([...outputs.depth], width, height) : null,
    };
  }

  // Of a model without maps: from the landmarks of the mirrored crop.
  async function distances(pixels, points) {
    const [width, height] = model.size, mirrored = new Float32Array(pixels.length);
    for (let row = 0; row < height; row += 1)
      for (let column = 0; column < width; column += 1)
        for (let channel = 0; channel < 3; channel += 1)
          mirrored[3 * (row * width + column) + channel] = pixels[3 * (row * width + width - 1 - column) + channel];
    const others = pairs((await model.run(mirrored)).landmarks);
    return points.map(([x, y], i) => {
      const [otherX, otherY] = others[scheme.mirror[i]];
      return Math.hypot(1 - otherX - x, otherY - y);
    });
  }

  function confidenceOf(spread) {
    const curve = model.contract.confidence;
    if (!curve) return NaN;
    const mean = spread.reduce((sum, value) => sum + value, 0) / spread.length;
    const power = curve.slope * (Math.log(Math.max(mean, constants.LEAST)) - Math.log(curve.middle));
    return 1 / (1 + Math.exp(power));
  }

  function expectedErrors(spread) {
    const curve = model.contract.expected_error;
    if (!curve) return spread.map(() => NaN);
    return spread.map((value, i) => curve.scale * (curve.factors[i] ?? 1) *
      Math.max(value, constants.LEAST) ** curve.exponent);
  }

  function depths(values, width, height) {
    const [left, top, right, bottom] = spec.margins;
    const unit = Math.max(width / (1 + left + right), height / (1 + top + bottom));
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    return values.map(value => (value - mean) * unit);
  }

  // Attribute -> its most probable class, with its probability.
  function named(probabilities) {
    const attributes = {};
    let first = 0;
    for (const [name, classes] of Object.entries(probabilities ? page.attributes : {})) {
      const values = [...probabilities.slice(first, first += classes.length)];
      const best = values.indexOf(Math.max(...values));
      attributes[name] = [classes[best], values[best]];
    }
    return attributes;
  }

  // Whether a face from the detector counts: the model, too, takes it for a face.
  function isVerified({score, confidence}) {
    if (isOfPhoto) return true;
    if (Number.isNaN(confidence) || score >= page.detector.sure_score) return score >= page.detector.sure_score;
    const yes = score * confidence, no = (1 - score) * (1 - confidence);
    return yes >= constants.FACE_PROBABILITY * (yes + no);
  }

  // Where to look for a face in the next frame of a video, as a place; null if it is lost.
  function follow({landmarks, confidence}, {width, height}) {
    const box = canonicalBox(landmarks, scheme);
    if (!box || confidence < constants.LEAST_CONFIDENCE) return null;
    const [x, y] = centre(box);
    return x >= 0 && x < width && y >= 0 && y < height ? {box, roll: rollOfLandmarks(landmarks, scheme)} : null;
  }

  return {
    page,
    contract: model.contract,
    detect,
    // The faces of a photo (ImageData), best score first; with `places`, [{box, roll}] with boxes
    // tight around the landmarks and a roll in degrees or none, those in their order. `areDetected`:
    // they are what `detect` gave.
    async predict(photo, places = null, areDetected = !places) {
      if (!areDetected) return faces(photo, places, "landmarks");
      return (await faces(photo, places ?? await detect(photo), page.detector.source)).filter(isVerified);
    },
    follow,
    // The box of the landmarks, or where the face was looked for.
    ownBox: face => canonicalBox(face.landmarks, scheme) ?? face.box,
  };
}

function pairs(values) {
  const points = [];
  for (let i = 0; i < values.length; i += 2) points.push([values[i], values[i + 1]]);
  return points;
}
