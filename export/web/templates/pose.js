// Box, roll and pose of a face by its landmarks, as in senet_landmark/face: boxes.py, roll.py and
// pose.py. `scheme`: the landmark scheme as page.json describes it.

import {apply, boxOf, invert, isBox, rotation} from "./geometry.js";

const dot = (a, b) => a.reduce((sum, value, i) => sum + value * b[i], 0);
const columns = matrix => matrix[0].map((_, i) => matrix.map(row => row[i]));
const product = (a, b) => a.map(row => columns(b).map(column => dot(row, column)));
const mean = points => columns(points).map(values => values.reduce((sum, value) => sum + value, 0) / points.length);
const degrees = radians => radians * 180 / Math.PI;

function turn(vector) { // Rodrigues' formula
  const angle = Math.hypot(...vector) || 1e-12, [x, y, z] = vector.map(value => value / angle);
  const cos = Math.cos(angle), sin = Math.sin(angle), rest = 1 - cos;
  return [[cos + rest * x * x, rest * x * y - sin * z, rest * x * z + sin * y],
    [rest * x * y + sin * z, cos + rest * y * y, rest * y * z - sin * x],
    [rest * x * z - sin * y, rest * y * z + sin * x, cos + rest * z * z]];
}

const about = (axis, angle) => turn([0, 1, 2].map(one => one === axis ? angle * Math.PI / 180 : 0));

export const rotationMatrix = ([yaw, pitch, roll]) =>
  product(product(about(0, -pitch), about(1, yaw)), about(2, roll));

export function eulerAngles([[xx, xy, xz], [, yy, yz], [, zy, zz]]) {
  const cosYaw = Math.hypot(xx, xy), isLocked = cosYaw < 1e-6;
  const pitch = isLocked ? Math.atan2(-zy, yy) : Math.atan2(yz, zz);
  return [Math.atan2(xz, cosYaw), pitch, isLocked ? 0 : Math.atan2(-xy, xx)].map(degrees);
}

export const turnedPose = (pose, roll) =>
  roll ? eulerAngles(product(about(2, roll), rotationMatrix(pose))) : pose;

function inverse([[a, b, c], [d, e, f], [g, h, i]]) { // null: there is none
  const minors = [[e * i - f * h, c * h - b * i, b * f - c * e],
    [f * g - d * i, a * i - c * g, c * d - a * f], [d * h - e * g, b * g - a * h, a * e - b * d]];
  const determinant = a * minors[0][0] + b * minors[1][0] + c * minors[2][0];
  return Math.abs(determinant) > 1e-12 ? minors.map(row => row.map(value => value / determinant)) : null;
}

// Rotation, scale and shift that best map `model` [[x, y, z]] to `points` [[x, y]]; null: none fits.
export function fitScaledOrthographic(points, model) {
  const centre2d = mean(points), centre3d = mean(model);
  const x = columns(points.map(point => point.map((value, axis) => value - centre2d[axis])));
  const shape = columns(model.map(point => point.map((value, axis) => value - centre3d[axis])));
  const between = (a, b) => a.map(one => b.map(other => dot(one, other)));
  const moments = between(shape, shape), crossMoments = between(x, shape), back = inverse(moments);
  if (!back) return null;
  const affine = product(crossMoments, back), [[a, b], [, c]] = between(affine, affine);
  // The square root of a symmetric 2x2 matrix in closed form; its trace: both singular values.
  const root = Math.sqrt(a * c - b * b), trace = Math.sqrt(a + c + 2 * root);
  const difference = Math.sqrt(Math.max(a + c - 2 * root, 0));
  if (!(trace - difference > 1e-4 * Math.max(trace + difference, 2e-9))) return null;
  const stretch = [[(a + root) / trace, b / trace], [b / trace, (c + root) / trace]];
  const rows = product(invert(stretch.map(row => [...row, 0])).map(row => row.slice(0, 2)), affine);
  const [[p, q, r], [s, t, u]] = rows;
  let rotated = [...rows, [q * u - r * t, r * s - p * u, p * t - q * s]], scale = trace / 2;
  for (let step = 0; step < 20; step += 1) {
    const [[xx, , xz], [, yy, yz], [, , zz]] =
      product(product(rotated, moments), columns(rotated)).map(row => row.map(value => scale * scale * value));
    const [[ux, uy, uz], [vx, vy, vz]] =
      product(crossMoments, columns(rotated)).map(row => row.map(value => scale * value));
    const [first, second, third, fourth] = [yz - vz, uz - xz, vx - uy, ux + vy - xx - yy];
    const determinant = zz * (xx + yy) - xz ** 2 - yz ** 2;
    if (!(determinant * zz > 0)) return null;
    const aboutZ = (zz * third + xz * first + yz * second) / determinant;
    const growth = (zz * fourth + yz * first - xz * second) / determinant;
    const aboutX = (first + xz * aboutZ + yz * growth) / zz;
    const aboutY = (second + yz * aboutZ - xz * growth) / zz;
    rotated = product(turn([aboutX, aboutY, aboutZ]), rotated);
    scale *= Math.exp(growth);
    if (Math.max(...[aboutX, aboutY, aboutZ, growth].map(Math.abs)) < 1e-5) break;
  }
  const moved = rotated.slice(0, 2).map((row, axis) => centre2d[axis] - scale * dot(row, centre3d));
  return {rotation: rotated, scale, shift: moved};
}

// Points that are weighted means of landmarks; NaN for one without parts.
export const weighted = (landmarks, parts) => parts.map(part => landmarks[0].map((_, axis) =>
  part.length ? part.reduce((sum, [index, weight]) => sum + weight * landmarks[index][axis], 0) : NaN));

// The points that a pose is fitted to.
const fitPoints = (landmarks, {fit}) => weighted(landmarks, fit.parts);

// [yaw, pitch, roll] in degrees; null where the landmarks fit no head.
export function poseOf(landmarks, scheme) {
  const fitted = fitScaledOrthographic(fitPoints(landmarks, scheme), scheme.fit.model);
  return fitted && eulerAngles(fitted.rotation);
}

// The same of landmarks [[x, y, depth]]: the rotation nearest to them, at any place and size.
export function poseOf3d(landmarks, scheme) {
  const points = fitPoints(landmarks, scheme), {model} = scheme.fit, middles = [mean(points), mean(model)];
  const [x, shape] = [points, model].map((all, i) =>
    columns(all.map(point => point.map((value, axis) => value - middles[i][axis]))));
  const moments = x.map(one => shape.map(other => dot(one, other)));
  const size = Math.hypot(...moments.flat()) || 1;
  let nearest = moments.map(row => row.map(value => value / size));
  // The orthogonal factor of a matrix by Newton's iteration (Higham, SIAM J. Sci. Stat. Comput. 1986).
  for (let step = 0; step < 100; step += 1) {
    const back = inverse(nearest);
    if (!back) return null; // the points lie in a plane, on a line or together
    const next = nearest.map((row, i) => row.map((value, j) => (value + back[j][i]) / 2));
    const change = Math.max(...next.flatMap((row, i) => row.map((value, j) => Math.abs(value - nearest[i][j]))));
    nearest = next;
    if (change < 1e-10) break;
  }
  const [[a, b, c], [d, e, f], last] = nearest;
  const isMirrored = dot([b * f - c * e, c * d - a * f, a * e - b * d], last) < 0;
  return isMirrored ? null : eulerAngles(nearest);
}

// The mean face on landmarks that do not outline the whole face.
function fittedFace(landmarks, scheme) {
  const fitted = fitScaledOrthographic(fitPoints(landmarks, scheme), scheme.fit.model);
  return fitted && scheme.mean_face.map(point =>
    [0, 1].map(axis => fitted.scale * dot(fitted.rotation[axis], point) + fitted.shift[axis]));
}

// The canonical box; null where the landmarks span none.
export function canonicalBox(landmarks, scheme) {
  const points = scheme.mean_face ? fittedFace(landmarks, scheme) : landmarks;
  const box = points && boxOf(points);
  return box && isBox(box) ? box : null;
}

// The roll in degrees; NaN where it is unknown.
export function rollOfLandmarks(landmarks, scheme) {
  let points = fitPoints(landmarks, scheme);
  if (scheme.mean_face) {
    const face = fittedFace(landmarks, scheme);
    if (!face) return NaN;
    points = scheme.stable.map(index => face[index]);
  }
  const [across, down] = columns(points).map(values => dot(scheme.down, values));
  return Math.hypot(across, down) > 1e-6 ? degrees(Math.atan2(-across, down)) : NaN;
}

// The canonical box in the axes of a face that leans by `roll`; null where there is none.
export function landmarkBox(landmarks, scheme, roll) {
  if (!roll) return canonicalBox(landmarks, scheme);
  const back = rotation(-roll, [0, 0]);
  const box = canonicalBox(landmarks.map(point => apply(back, point)), scheme);
  if (!box) return null;
  const middle = [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2], [x, y] = apply(invert(back), middle);
  return box.map((edge, i) => edge + (i % 2 ? y - middle[1] : x - middle[0]));
}
