// How the page finds landmarks by itself: the models run here, and no photo leaves this machine.

const UNREACHED = "a file of this page is absent. Copy the whole folder.";
const WORST_BOX = 10; // a box beyond so many sides of the photo shows no face of it
let loading = null;   // the promise of {predictor, answer}

// `source`: a file, or a frame of the camera as `packed` gives it; the rest as for the service.
async function ask(source, name, places = [], follow = false) {
  const {predictor, answer} = await loading.catch(() => {
    throw new PhotoError("was not looked at: the models did not come. Reload the page.");
  });
  const start = performance.now(), photo = source instanceof Blob ? await pixelsOf(source) : source;
  const decode = performance.now() - start;
  for (const {box} of places) checkBox(box, photo);
  const found = await answer(predictor, photo, {name, places: places.length ? places : null, follow});
  const times = found.milliseconds;
  return {...found, milliseconds: {...times, decode, total: times.total + decode}};
}

function checkBox([left, top, right, bottom], {width, height}) {
  const isSeen = right > 0 && bottom > 0 && left < width && top < height;
  const isSize = Math.min(right - left, bottom - top) >= 1 &&
    right - left < WORST_BOX * width + 100 && bottom - top < WORST_BOX * height + 100;
  if (!isSeen || !isSize) throw new PhotoError("has no face in that box. Drag another one.");
}

// Upright pixels as they are in the file: without the screen's colours, as the models were trained.
async function pixelsOf(blob) {
  const options = {imageOrientation: "from-image", colorSpaceConversion: "none", premultiplyAlpha: "none"};
  let picture;
  try {
    picture = await createImageBitmap(blob, options);
  } catch {
    throw new PhotoError(`is not a photo that this browser can open. ${FORMATS}`);
  }
  try {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [picture.width, picture.height];
    const context = canvas.getContext("2d", {willReadFrequently: true});
    context.drawImage(picture, 0, 0);
    return context.getImageData(0, 0, picture.width, picture.height);
  } catch {
    throw new PhotoError("is too large for this browser. Choose a smaller copy.");
  } finally {
    picture.close();
  }
}

// A frame of the camera as it is asked with.
const packed = canvas => canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);

async function load() {
  if (location.protocol === "file:")
    throw new Error("browsers load them only from a server. In this folder run `python3 -m http.server 8000`, " +
      "and open http://127.0.0.1:8000/.");
  const [{loadPredictor}, {answer}] = await Promise.all([import("./predictor.js"), import("./answer.js")]);
  return {predictor: await loadPredictor(), answer};
}

async function loadModels() {
  loading = load();
  const {predictor} = await loading;
  offer(predictor.page.description);
  describeModel();
}

function describeExample() {
  at("example").textContent = 'import {loadPredictor} from "./predictor.js";\n' +
    "const predictor = await loadPredictor();\n" +
    "const faces = await predictor.predict(context.getImageData(0, 0, width, height));\n" +
    "faces[0].landmarks; // [[x, y], …] in pixels";
}
