// BlazeFace and its search as in senet_landmark/detectors: blazeface.py, anchors.py, tiles.py and
// face_boxes.py, with their names. The constants come from there, too (page.json).
//
// A candidate is {corners, score}: left top and right bottom of the box, then six points.

import {apply, centre, compose, invert, photoBox, toCrop, toPixels, warp} from "./geometry.js";

export const withoutTurns = degrees => ((degrees + 180) % 360 + 360) % 360 - 180;
export const beyondUpright = (roll, {UPRIGHT}) =>
  Math.abs(withoutTurns(roll)) > UPRIGHT ? withoutTurns(roll) : 0; // also where it is unknown, NaN

// ---- a network: pixels of a picture -> candidates

export function anchorCentres({input, strides, anchors}) {
  const [, height, width] = input.shape, centres = [];
  strides.forEach((stride, map) => {
    for (let y = 0; y < Math.floor(height / stride); y += 1)
      for (let x = 0; x < Math.floor(width / stride); x += 1)
        for (let anchor = 0; anchor < anchors[map]; anchor += 1)
          centres.push([(x + 0.5) * stride, (y + 0.5) * stride]);
  });
  return centres;
}

// `boxes`: [A, 16] and `scores` [A], flat, as the graph gives them.
export function decoded({boxes, scores}, centres, threshold) {
  const least = Math.log(threshold / (1 - threshold)), chosen = [];
  for (let i = 0; i < scores.length; i += 1) if (scores[i] > least) chosen.push(i);
  chosen.sort((a, b) => scores[b] - scores[a]);
  const length = boxes.length / scores.length;
  return chosen.map(i => {
    const [x, y] = centres[i], corners = [];
    for (let at = i * length; at < (i + 1) * length; at += 2) corners.push([boxes[at], boxes[at + 1]]);
    const half = corners[1].map(side => side / 2), middle = [corners[0][0] + x, corners[0][1] + y];
    const points = corners.slice(2).map(point => [point[0] + x - 0.5, point[1] + y - 0.5]);
    const low = middle.map((value, axis) => value - half[axis] - 0.5);
    const high = middle.map((value, axis) => value + half[axis] - 0.5);
    return {corners: [low, high, ...points], score: 1 / (1 + Math.exp(-scores[i])), isBox: half.every(side => side > 0)};
  }).filter(one => one.isBox);
}

const area = ([low, high]) => (high[0] - low[0]) * (high[1] - low[1]);

function sharedArea([low, high], [otherLow, otherHigh]) {
  const side = axis => Math.max(Math.min(high[axis], otherHigh[axis]) - Math.max(low[axis], otherLow[axis]), 0);
  return side(0) * side(1);
}

function overlap(one, other) {
  const shared = sharedArea(one, other);
  return shared / (area(one) + area(other) - shared);
}

// Merges overlapping candidates into the best of each group, weighted by their scores.
export function suppressed(candidates, iou) {
  const merged = [];
  while (candidates.length) {
    const best = candidates[0];
    const isOfGroup = candidates.map((one, i) => !i || overlap(best.corners, one.corners) > iou);
    const group = candidates.filter((_, i) => isOfGroup[i]);
    const total = group.reduce((sum, one) => sum + one.score, 0);
    const corners = best.corners.map((_, corner) => [0, 1].map(axis =>
      group.reduce((sum, one) => sum + one.score * one.corners[corner][axis], 0) / total));
    merged.push({corners, score: best.score});
    candidates = candidates.filter((_, i) => !isOfGroup[i]);
  }
  return merged;
}

export function rollOf(points) {
  const [right, left, , mouth] = points;
  const down = [0, 1].map(axis => mouth[axis] - (right[axis] + left[axis]) / 2);
  const across = [left[0] - right[0] + down[1], left[1] - right[1] - down[0]];
  return withoutTurns(Math.atan2(across[1], across[0]) * 180 / Math.PI);
}

const clip = (value, [low, high]) => Math.min(Math.max(value, low), high);

// The candidate with the box of the landmarks in place of the network's. `weights`: [91][4].
export function withFaceBox({corners, score}, weights, constants) {
  const [low, high, ...points] = corners;
  const angle = beyondUpright(rollOf(points), constants) * Math.PI / 180;
  const cos = Math.cos(angle), sin = Math.sin(angle), middle = centre([...low, ...high]);
  const side = Math.max(high[0] - low[0], high[1] - low[1]);
  const flat = points.flatMap(([x, y]) => {
    const [across, down] = [(x - middle[0]) / side, (y - middle[1]) / side];
    return [across * cos + down * sin, down * cos - across * sin];
  });
  const terms = [1, ...flat];
  flat.forEach((value, i) => { for (const other of flat.slice(i)) terms.push(value * other); });
  const edges = [0, 1, 2, 3].map(edge => terms.reduce((sum, term, i) => sum + term * weights[i][edge], 0));
  const {LARGEST_SHIFT, HALVES} = constants;
  const shift = centre(edges).map(value => clip(value, [-LARGEST_SHIFT, LARGEST_SHIFT]));
  const turned = [shift[0] * cos - shift[1] * sin, shift[0] * sin + shift[1] * cos];
  const half = [0, 1].map(axis => clip((edges[axis + 2] - edges[axis]) / 2, HALVES));
  const corner = way => [0, 1].map(axis => (turned[axis] + way * half[axis]) * side + middle[axis]);
  return {corners: [corner(-1), corner(1), ...points], score};
}

// ---- a photo, as a whole or in tiles

// A square region of a photo as a network's input, and the affine map from its pixels to the photo's.
export function letterboxed(photo, size, region, turn = 0) {
  if (!region) {
    const half = Math.max(photo.width, photo.height) / 2, [x, y] = centre(photoBox(photo));
    region = [x - half, y - half, x + half, y + half];
  }
  const transform = toCrop(region, turn);
  return [warp(photo, transform, size), invert(compose(toPixels(size), transform))];
}

async function search(photo, network, constants, region, turn) {
  const [pixels, toPhoto] = letterboxed(photo, network.size, region, turn);
  const candidates = decoded(await network.run(pixels), network.centres, network.threshold);
  return suppressed(candidates, network.contract.nms_iou).map(candidate => {
    const {corners, score} = withFaceBox(candidate, network.weights, constants);
    const [one, other, ...points] = corners.map(point => apply(toPhoto, point));
    // In a turned picture the first two corners are other corners of the box.
    const low = one.map((value, axis) => Math.min(value, other[axis]));
    const high = one.map((value, axis) => Math.max(value, other[axis]));
    return {corners: [low, high, ...points], score};
  });
}

export function tileSides(side, smallest, minFace, {OVERLAP}) {
  const last = minFace / smallest;
  if (last >= side) return [];
  const steps = Math.max(Math.ceil(Math.log(side / last) / Math.log(OVERLAP / smallest) - 1e-6), 1);
  return Array.from({length: steps}, (_, step) => side * (last / side) ** ((step + 1) / steps));
}

export function tiles({width, height}, side, {OVERLAP}) {
  const longest = Math.max(width, height);
  const count = Math.ceil(Math.max((longest / side - OVERLAP) / (1 - OVERLAP), 1) - 1e-6);
  side = longest / (count - OVERLAP * (count - 1));
  const starts = length => {
    if (length <= side) return [(length - side) / 2];
    const parts = Math.ceil((length / side - OVERLAP) / (1 - OVERLAP) - 1e-6);
    return Array.from({length: parts}, (_, i) => parts > 1 ? i * (length - side) / (parts - 1) : 0);
  };
  return starts(height).flatMap(top => starts(width).map(left =>
    [left, top, left + side, top + side].map(edge => edge - 0.5)));
}

async function searchTiles(photo, network, constants, side) {
  const found = [], most = [photo.width - 1, photo.height - 1];
  for (const tile of tiles(photo, side, constants)) {
    const isCutOff = ({corners: [low, high]}) => [0, 1].some(axis => {
      const room = constants.BEYOND * (high[axis] - low[axis]);
      return tile[axis] > 0 && low[axis] < tile[axis] - room ||
        tile[axis + 2] < most[axis] && high[axis] > tile[axis + 2] + room;
    });
    found.push(...(await search(photo, network, constants, tile)).filter(one => !isCutOff(one)));
  }
  return merged(found, constants);
}

// All candidates best first; of those of one face only the best.
export function merged(candidates, {SAME_IOU, SAME_SHARE}) {
  const chosen = [];
  for (const one of [...candidates].sort((a, b) => b.score - a.score)) {
    const isSame = other => overlap(one.corners, other.corners) > SAME_IOU ||
      sharedArea(one.corners, other.corners) > SAME_SHARE * Math.min(area(one.corners), area(other.corners));
    if (!chosen.some(isSame)) chosen.push(one);
  }
  return chosen;
}

// ---- the search

// The faces of a photo, best score first: [{box, score, roll}]. `networks`: {short, full}.
export async function findFaces(photo, networks, constants) {
  const side = Math.max(photo.width, photo.height);
  const minFace = Math.max(constants.MIN_FACE, constants.MIN_SHARE * side);
  let candidates = await searchUpright(photo, networks, constants, minFace);
  const stages = [[networks.short, constants.UPRIGHT_SCORE], [networks.full, constants.FOUND_SCORE]];
  for (const [network, score] of stages) {
    const [best] = candidates;
    if (best?.score >= score && Math.abs(rollOf(best.corners.slice(2))) <= constants.MOST_ROLL) break;
    const turned = [];
    for (const turn of constants.TURNS) turned.push(...await search(photo, network, constants, null, turn));
    const sure = merged(turned, constants).filter(one => one.score >= constants.TURNED_SCORE);
    candidates = merged([...candidates, ...sure], constants);
  }
  return candidates.map(({corners: [low, high, ...points], score}) =>
    ({box: [...low, ...high], score, roll: rollOf(points)}));
}

async function searchUpright(photo, {short, full}, constants, minFace) {
  const side = Math.max(photo.width, photo.height), smallest = minFace / side, found = [];
  const isSmall = smallest >= constants.NEAR_SMALLEST; // a photo whose faces are large in it
  if (isSmall) {
    found.push(...await search(photo, short, constants));
    const isNear = ({corners: [low, high], score}) => score >= constants.NEAR_SCORE &&
      Math.max(high[0] - low[0], high[1] - low[1]) >= constants.NEAR_SHARE * side;
    if (smallest >= short.contract.smallest && found.length || found.some(isNear)) return found;
  }
  const whole = await search(photo, full, constants);
  found.push(...whole);
  if (!isSmall && !(whole[0]?.score >= constants.UPRIGHT_SCORE))
    found.push(...await search(photo, short, constants)); // it knows faces that fill the photo
  for (const tile of tileSides(side, full.contract.smallest, minFace, constants))
    found.push(...await searchTiles(photo, full, constants, tile));
  return merged(found, constants);
}
