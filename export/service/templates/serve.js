"use strict";
// What all parts of the page share, and how it asks the service.

const at = id => document.getElementById(id);
const models = new Map();
let limits = null;
let shown = null; // {picture, answer, name, mirrored}: what the canvas shows

const say = text => { if (at("status").textContent !== text) at("status").textContent = text; };
const fail = text => { at("error").textContent = text; };
const later = milliseconds => new Promise(done => setTimeout(done, milliseconds));

class ServiceError extends Error {
  constructor(message, status, retryAfter) {
    super(message);
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

// What a person can do about an answer; the service's own words are for whoever writes a program.
const FORMATS = "Choose a JPEG, PNG, WebP, BMP or TIFF file.";
function inWords(status, message) {
  if (status === 400) return "did not arrive whole. Try it again.";
  if (status === 404) return "was not looked at: the service no longer has this model. Reload the page.";
  if (status === 408) return "took too long to send. Try it again, or choose a smaller copy.";
  if (status === 415 || /does not decode/.test(message)) return `is not a photo that can be opened. ${FORMATS}`;
  if (status === 422) return message.replace(/^(photo: |The photo )/, "")
    .replace("Send a", "Choose a").replace(/ Give one frame.*/, " Choose one of its frames.");
  if (status === 413) return "is too large. Choose a smaller copy.";
  if (status === 503) return "was not looked at: the service is busy. Try it again in a moment.";
  return `was not looked at: the service failed (${status}). Try another photo; the service's log says more.`;
}

async function answerOf(request) {
  let response;
  try {
    response = await request;
  } catch (error) {
    throw new ServiceError("was not sent: the service does not answer. Is it still running?", 0, 0);
  }
  const text = await response.text();
  let answer = {};
  try { answer = JSON.parse(text); } catch { /* not the service's own answer: its status says enough */ }
  if (!response.ok) {
    const wait = Number(response.headers.get("Retry-After")) || 1;
    throw new ServiceError(inWords(response.status, answer.error || ""), response.status, wait);
  }
  return answer;
}

// `places`: [{box, roll}], where to look for the faces in place of a detection, or none. `follow`:
// whether to be told where they will be in the next frame of a video.
function ask(blob, name, places = [], follow = false) {
  const query = new URLSearchParams({model: at("model").value, name});
  if (follow) query.set("follow", "true");
  if (places.length) {
    query.set("boxes", places.map(place => place.box.join(",")).join(";"));
    query.set("roll", places.map(place => place.roll ?? "").join(";"));
  }
  const type = blob.type || "application/octet-stream";
  return answerOf(fetch("v1/landmarks?" + query, {method: "POST", body: blob, headers: {"Content-Type": type}}));
}

async function loadModels() {
  const answer = await answerOf(fetch("v1/models"));
  limits = answer.limits;
  for (const model of answer.models) {
    models.set(model.name, model);
    at("model").append(new Option(`${model.name}, ${model.points} points`, model.name));
  }
  at("model").value = answer.default;
  describeModel();
}

function describeModel() {
  const model = models.get(at("model").value);
  if (!model) return;
  at("about").textContent = `${model.name}: network ${model.network}, ` +
    `${model.input.width}x${model.input.height} pixels, ${model.points} points (${model.scheme}), ` +
    `run by ${model.engine}. ${model.licence}`;
  at("example").textContent = 'curl --data-binary @photo.jpg -H "Content-Type: image/jpeg" \\\n  "' +
    `${location.origin}/v1/landmarks?model=${encodeURIComponent(model.name)}"`;
}
