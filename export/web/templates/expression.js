// Measures of a face's expression, as in senet_landmark/face/expressions.py.

import {fitScaledOrthographic, weighted} from "./pose.js";

const distance = ([x, y], [otherX, otherY]) => Math.hypot(x - otherX, y - otherY);
const average = values => values.reduce((sum, value) => sum + value, 0) / values.length;

// The 68 points as they are seen from the front; null: turned away, or the landmarks fit no head.
function frontalLandmarks(landmarks, {fit, parts, depth}, constants) {
  const fitted = fitScaledOrthographic(weighted(landmarks, fit.parts), fit.model);
  if (!fitted || fitted.rotation[2][2] < constants.LEAST_FACING) return null;
  const {rotation: [[a, b, c], [d, e, f]], scale, shift} = fitted, determinant = a * e - b * d;
  return weighted(landmarks, parts).map(([x, y], i) => {
    const u = (x - shift[0]) / scale - depth[i] * c, v = (y - shift[1]) / scale - depth[i] * f;
    return [(e * u - b * v) / determinant, (a * v - d * u) / determinant];
  });
}

// Height over width of an outline: a corner, some points, the other corner, as many points.
function aspect(outline) {
  const pairs = outline.length / 2 - 1, width = distance(outline[0], outline[pairs + 1]);
  const heights = Array.from({length: pairs}, (_, i) => distance(outline[1 + i], outline.at(-1 - i)));
  return width ? average(heights) / width : NaN;
}

// Measure -> its value; null where they cannot be measured. `scheme` and `constants`: as page.json has them.
export function expressionOf(landmarks, {expression}, constants) {
  const {EYES, MOUTH, EYE_CORNERS, BROWS} = constants;
  const points = expression && frontalLandmarks(landmarks, expression, constants);
  const eyes = points && distance(points[36], points[45]);
  if (!(eyes > 0)) return null;
  const at = indices => indices.map(index => points[index]);
  const height = indices => average(at(indices).map(([, y]) => y));
  return {
    eye_aspect_left: aspect(at(EYES[0])),
    eye_aspect_right: aspect(at(EYES[1])),
    mouth_aspect: aspect(at(MOUTH)),
    brow_raise: average(EYE_CORNERS.map((corners, i) => height(corners) - height(BROWS[i]))) / eyes,
    smile_width: distance(points[48], points[54]) / eyes,
  };
}
