"use strict";
// What all parts of the page share. What answers it, a service or the browser itself, is a script of
// its own (serve.js, local.js) that has `ask`, `loadModels`, `packed`, `describeExample` and `UNREACHED`.

const at = id => document.getElementById(id);
const models = new Map();
let limits = null;
let shown = null; // {picture, answer, name, mirrored}: what the canvas shows

const say = text => { if (at("status").textContent !== text) at("status").textContent = text; };
const fail = text => { at("error").textContent = text; };
const later = milliseconds => new Promise(done => setTimeout(done, milliseconds));

// What is wrong with a photo, to be told after its name.
class PhotoError extends Error {
  constructor(message, status = 0, retryAfter = 0) {
    super(message);
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

const FORMATS = "Choose a JPEG, PNG, WebP, BMP or TIFF file.";

function offer(model) {
  models.set(model.name, model);
  at("model").append(new Option(`${model.name}, ${model.points} points`, model.name));
}

function describeModel() {
  const model = models.get(at("model").value);
  if (!model) return;
  at("about").textContent = `${model.name}: network ${model.network}, ` +
    `${model.input.width}x${model.input.height} pixels, ${model.points} points (${model.scheme}), ` +
    `run by ${model.engine}. ${model.licence}`;
  describeExample(model);
}
