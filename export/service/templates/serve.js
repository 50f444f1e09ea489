// How the page asks the service.

const UNREACHED = "the service does not answer. Is it still running?";

// What a person can do about an answer; the service's own words are for whoever writes a program.
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
    throw new PhotoError(`was not sent: ${UNREACHED}`);
  }
  const text = await response.text();
  let answer = {};
  try { answer = JSON.parse(text); } catch { /* not the service's own answer: its status says enough */ }
  if (!response.ok) {
    const wait = Number(response.headers.get("Retry-After")) || 1;
    throw new PhotoError(inWords(response.status, answer.error || ""), response.status, wait);
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

// A frame of the camera as it is sent: a JPEG.
const packed = canvas => new Promise(done => canvas.toBlob(done, "image/jpeg", 0.9));

async function loadModels() {
  const answer = await answerOf(fetch("v1/models")).catch(() => { throw new Error(UNREACHED); });
  limits = answer.limits;
  answer.models.forEach(offer);
  at("model").value = answer.default;
  describeModel();
}

function describeExample(model) {
  at("example").textContent = 'curl --data-binary @photo.jpg -H "Content-Type: image/jpeg" \\\n  "' +
    `${location.origin}/v1/landmarks?model=${encodeURIComponent(model.name)}"`;
}
