// The faces of a photo as JSON, as the service answers (docs/formats.md, "Landmarks in JSON").

const ANGLES = ["yaw", "pitch", "roll"];

const round = (value, digits = 2) => Math.round(value * 10 ** digits) / 10 ** digits;
const rounded = values => values.map(value => Array.isArray(value) ? rounded(value) : round(value));

function faceJson(face, predictor) {
  const fields = {
    box: rounded(predictor.ownBox(face)),
    detector_box: rounded(face.box),
    landmarks: rounded(face.landmarks),
  };
  if (face.depth) fields.depth = rounded(face.depth);
  for (const name of ["score", "confidence"])
    if (Number.isFinite(face[name])) fields[name] = round(face[name], 4);
  if (face.uncertainty.every(Number.isFinite)) fields.uncertainty = rounded(face.uncertainty);
  for (const [name, pose] of [["pose", face.pose], ["pose_3d", face.pose3d]])
    if (pose) fields[name] = Object.fromEntries(ANGLES.map((angle, i) => [angle, round(pose[i])]));
  if (face.expression) {
    const measured = Object.entries(face.expression).filter(([, value]) => Number.isFinite(value));
    fields.expression = Object.fromEntries(measured.map(([name, value]) => [name, round(value, 4)]));
  }
  const attributes = Object.entries(face.attributes)
    .map(([name, [label, probability]]) => [name, {class: label, probability: round(probability, 4)}]);
  if (attributes.length) fields.attributes = Object.fromEntries(attributes);
  return fields;
}

function placeJson(place) {
  return place && {box: rounded(place.box), roll: Number.isFinite(place.roll) ? round(place.roll, 1) : null};
}

// `photo`: ImageData; `name` of the photo; `places`: [{box, roll}] in place of a detection, or null;
// `follow`: whether to tell where the faces will be in the next frame of a video.
export async function answer(predictor, photo, {name = null, places = null, follow = false} = {}) {
  const start = performance.now();
  const detected = places ?? await predictor.detect(photo);
  const between = performance.now();
  const faces = await predictor.predict(photo, detected, !places);
  const end = performance.now();
  const {model, scheme} = predictor.page;
  return {
    image: name, version: 1, model, scheme: scheme.name, width: photo.width, height: photo.height,
    faces: faces.map(face => faceJson(face, predictor)),
    engine: "onnxruntime-web",
    milliseconds: {decode: 0, detect: between - start, landmarks: end - between, total: end - start},
    ...follow && {follow: faces.map(face => placeJson(predictor.follow(face, photo)))},
  };
}
