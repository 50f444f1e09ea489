// Boxes, crops and affine maps as in senet_landmark/face/geometry.py, with its names and numbers.
//
// A box is [left, top, right, bottom] in pixels with integers at their centres, an affine map
// [[a, b, x], [c, d, y]]. A photo is {width, height, data}, data with four bytes a pixel (ImageData).

export const centre = ([left, top, right, bottom]) => [(left + right) / 2, (top + bottom) / 2];

export function boxOf(points) {
  const xs = points.map(point => point[0]), ys = points.map(point => point[1]);
  return [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)];
}

export const isBox = box => box.every(Number.isFinite) && box[2] > box[0] && box[3] > box[1];

export function correctBox([left, top, right, bottom], {shift, scale}, roll = 0) {
  const width = right - left, height = bottom - top;
  const [across, down] = apply(rotation(roll, [0, 0]), [width * shift[0], height * shift[1]]);
  const x = (left + right) / 2 + across, y = (top + bottom) / 2 + down;
  const [halfWidth, halfHeight] = [width * scale[0] / 2, height * scale[1] / 2];
  return [x - halfWidth, y - halfHeight, x + halfWidth, y + halfHeight];
}

export function iou(a, b) {
  const across = Math.max(0, Math.min(a[2], b[2]) - Math.max(a[0], b[0]));
  const overlap = across * Math.max(0, Math.min(a[3], b[3]) - Math.max(a[1], b[1]));
  const area = box => (box[2] - box[0]) * (box[3] - box[1]);
  const union = area(a) + area(b) - overlap;
  return union > 0 ? overlap / union : 0;
}

export const photoBox = ({width, height}) => [-0.5, -0.5, width - 0.5, height - 0.5];

// The region of the photo that becomes the crop; null where there is none. `spec`: the contract's
// `crop`.
export function cropBox(box, spec, photo, roll = 0) {
  if (!isBox(box)) return null;
  const width = box[2] - box[0], height = box[3] - box[1], margins = spec.margins;
  let left = box[0] - margins[0] * width, top = box[1] - margins[1] * height;
  let right = box[2] + margins[2] * width, bottom = box[3] + margins[3] * height;
  if (right <= left || bottom <= top) return null;
  if (spec.square) {
    const longest = spec.fit === "inside" ? Math.min : Math.max;
    const half = longest(right - left, bottom - top) / 2;
    const [x, y] = centre([left, top, right, bottom]);
    [left, top, right, bottom] = [x - half, y - half, x + half, y + half];
  }
  if (spec.clip && !roll) {
    [left, top] = [Math.max(left, -0.5), Math.max(top, -0.5)];
    [right, bottom] = [Math.min(right, photo.width - 0.5), Math.min(bottom, photo.height - 0.5)];
    if (Math.min(right - left, bottom - top) < 1) return null;
  }
  return [left, top, right, bottom];
}

// From photo pixels to the crop's normalised coordinates; the photo is turned about `middle`.
export function toCrop(region, roll = 0, middle = centre(region)) {
  const width = region[2] - region[0], height = region[3] - region[1];
  const upright = [[1 / width, 0, -region[0] / width], [0, 1 / height, -region[1] / height]];
  return roll ? compose(upright, rotation(-roll, middle)) : upright;
}

export function rotation(degrees, [x, y]) {
  const angle = degrees * Math.PI / 180, cos = Math.cos(angle), sin = Math.sin(angle);
  return [[cos, -sin, x - cos * x + sin * y], [sin, cos, y - sin * x - cos * y]];
}

export const toPixels = ([width, height]) => [[width, 0, -0.5], [0, height, -0.5]];

export function invert([[a, b, x], [c, d, y]]) {
  const area = a * d - b * c;
  return [[d / area, -b / area, (b * y - d * x) / area], [-c / area, a / area, (c * x - a * y) / area]];
}

export const compose = (second, first) => second.map(([a, b, x]) => [
  a * first[0][0] + b * first[1][0],
  a * first[0][1] + b * first[1][1],
  a * first[0][2] + b * first[1][2] + x,
]);

export const apply = ([[a, b, left], [c, d, top]], [x, y]) => [a * x + b * y + left, c * x + d * y + top];

// The crop that `transform` (photo pixels -> normalised crop) describes: Float32Array of RGB, 0 to
// 255, [size[1], size[0], 3]; black beyond the photo.
export function warp(photo, transform, size) {
  let matrix = compose(toPixels(size), transform);
  const area = Math.abs(matrix[0][0] * matrix[1][1] - matrix[0][1] * matrix[1][0]);
  const factor = Math.trunc(1 / Math.max(Math.sqrt(area), 1e-6));
  if (factor >= 2) {
    let toFull;
    [photo, toFull] = reduce(photo, invert(matrix), size, factor);
    matrix = compose(matrix, toFull);
  }
  return bilinear(photo, invert(matrix), size);
}

function bilinear({width, height, data}, [[a, b, left], [c, d, top]], [columns, rows]) {
  const crop = new Uint8ClampedArray(columns * rows * 3); // it rounds as OpenCV does
  for (let row = 0, at = 0; row < rows; row += 1) {
    for (let column = 0; column < columns; column += 1, at += 3) {
      const x = a * column + b * row + left, y = c * column + d * row + top;
      const x0 = Math.floor(x), y0 = Math.floor(y), right = x - x0, low = y - y0;
      if (x0 < -1 || y0 < -1 || x0 >= width || y0 >= height) continue;
      let red = 0, green = 0, blue = 0;
      for (let corner = 0; corner < 4; corner += 1) {
        const px = x0 + (corner & 1), py = y0 + (corner >> 1);
        if (px < 0 || py < 0 || px >= width || py >= height) continue;
        const weight = (corner & 1 ? right : 1 - right) * (corner >> 1 ? low : 1 - low);
        const pixel = 4 * (py * width + px);
        red += weight * data[pixel];
        green += weight * data[pixel + 1];
        blue += weight * data[pixel + 2];
      }
      crop[at] = red;
      crop[at + 1] = green;
      crop[at + 2] = blue;
    }
  }
  return new Float32Array(crop);
}

// The part of the photo under the crop, averaged over factor x factor pixels, and the affine map
// from its pixels to the photo's.
function reduce(photo, toPhoto, size, factor) {
  const spans = [photo.width, photo.height].map((length, axis) => {
    const [across, down, shift] = toPhoto[axis];
    const ends = Array(2).fill(shift - (across + down) / 2);
    for (const side of [across * size[0], down * size[1]]) ends[side > 0 ? 1 : 0] += side;
    const first = Math.min(Math.max(Math.floor(ends[0]) - factor, 0), length - 1);
    let last = Math.min(Math.max(Math.ceil(ends[1]) + factor, first + 1), length);
    const cells = Math.max(Math.floor((last - first) / factor), 1);
    last = Math.min(first + cells * factor, length);
    return {first, cells, wide: (last - first) / cells}; // whole pixels: one cell, or `factor`
  });
  const [across, down] = spans;
  const data = new Uint8ClampedArray(4 * across.cells * down.cells);
  const sums = new Float64Array(3 * across.cells), count = across.wide * down.wide;
  const up = count === 4 ? 0.5 : 0; // OpenCV rounds halves up for 2 x 2 pixels, else to even numbers
  for (let row = 0; row < down.cells; row += 1) {
    sums.fill(0);
    for (let inner = 0; inner < down.wide; inner += 1) {
      let pixel = 4 * ((down.first + row * down.wide + inner) * photo.width + across.first);
      for (let column = 0; column < sums.length; column += 3)
        for (let part = 0; part < across.wide; part += 1, pixel += 4) {
          sums[column] += photo.data[pixel];
          sums[column + 1] += photo.data[pixel + 1];
          sums[column + 2] += photo.data[pixel + 2];
        }
    }
    for (let column = 0; column < across.cells; column += 1)
      for (let channel = 0; channel < 3; channel += 1)
        data[4 * (row * across.cells + column) + channel] = (sums[3 * column + channel] + up) / count;
  }
  const toFull = [[across.wide, 0, across.first - 0.5 + across.wide / 2],
    [0, down.wide, down.first - 0.5 + down.wide / 2]];
  return [{width: across.cells, height: down.cells, data}, toFull];
}
