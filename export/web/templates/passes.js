// Where a face is cropped, as in export/inference/passes.py: by its box and roll, then again by its
// landmarks. A crop is {box, roll}: a box in the face's own axes, turned by degrees about its centre.

import {beyondUpright, withoutTurns} from "./blazeface.js";
import {apply, centre, correctBox, cropBox, iou, rotation} from "./geometry.js";
import {landmarkBox, rollOfLandmarks} from "./pose.js";

function uprightBox(box, roll) {
  if (Math.abs(Math.cos(roll * Math.PI / 180)) >= Math.sqrt(0.5)) return box;
  const [x, y] = centre(box), across = (box[3] - box[1]) / 2, down = (box[2] - box[0]) / 2;
  return [x - across, y - down, x + across, y + down];
}

export function firstCrop(box, roll, correction, constants) {
  roll = beyondUpright(roll, constants);
  return {box: correctBox(uprightBox(box, roll), correction, roll), roll};
}

// The crop of a face's next pass; null if the last one was good, or the face is lost.
export function nextCrop(crop, landmarks, {photo, spec, scheme, constants}) {
  let {roll} = crop, box = landmarkBox(landmarks, scheme, roll);
  if (!box) return null;
  const overlap = iou(beside(box, crop), crop.box), lean = rollOfLandmarks(landmarks, scheme);
  if (overlap < constants.RECROP_IOU[0]) return null;
  if (Math.abs(withoutTurns(lean - roll)) > constants.UPRIGHT) {
    roll = beyondUpright(lean, constants);
    box = landmarkBox(landmarks, scheme, roll);
  } else if (overlap >= constants.RECROP_IOU[1]) return null;
  return box && cropBox(box, spec, photo, roll) ? {box, roll} : null;
}

// A box, moved to where it is in the axes in which `crop` is upright.
function beside(box, crop) {
  if (!crop.roll) return box;
  const middle = centre(box), [x, y] = apply(rotation(-crop.roll, centre(crop.box)), middle);
  return box.map((edge, i) => edge + (i % 2 ? y - middle[1] : x - middle[0]));
}

// The outputs of a face after as many passes as it needs. `forward(crop)` resolves to outputs with
// `landmarks` in photo pixels and `confidence`; `view`: as for `nextCrop`.
export async function makePasses(forward, box, roll, correction, view, passes) {
  const {constants} = view, crop = firstCrop(box, roll, correction, constants);
  const outputs = await forward(crop);
  if (passes === 1) return outputs;
  const upright = await passAgain(forward, crop, outputs, view, passes);
  const isUnknown = Number.isNaN(roll);
  if (!(upright.last < (isUnknown ? constants.CLEAR : constants.SURE))) return upright.outputs;
  let best = null;
  for (const tried of isUnknown ? constants.TRIED : [roll + 180]) {
    const other = firstCrop(box, tried, correction, constants), turned = await forward(other);
    if (!best || turned.confidence > best.outputs.confidence) best = {crop: other, outputs: turned};
  }
  if (!(best.outputs.confidence > upright.last)) return upright.outputs;
  const turned = await passAgain(forward, best.crop, best.outputs, view, passes);
  const isClear = turned.last >= constants.SURE && turned.last > upright.last;
  return isClear ? turned.outputs : upright.outputs;
}

// {outputs, last}: the outputs after the further passes, and the confidence in the last crop. The
// outputs' own confidence is the lowest, but a face that leaned begins anew if it is clear upright.
async function passAgain(forward, crop, outputs, view, passes) {
  let last = outputs.confidence;
  for (let pass = 1; pass < passes; pass += 1) {
    const next = nextCrop(crop, outputs.landmarks, view);
    if (!next) break;
    const again = await forward(next);
    last = again.confidence;
    const isAnew = next.roll !== crop.roll && last >= view.constants.SURE;
    outputs = {...again, confidence: isAnew ? last : Math.min(last, outputs.confidence)};
    crop = next;
  }
  return {outputs, last};
}
