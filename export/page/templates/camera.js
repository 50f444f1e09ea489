// The camera: one frame at a time; the next one is asked after the answer to the last. A face is looked
// for where it was in the last frame; the detector runs now and then, and if a face is lost.

const CAMERA_SIDE = 640;  // a camera's frames are reduced to this side: faces are large in them
const DETECT_EVERY = 15;  // frames of a camera from one detection to the next while no face is lost
let stream = null;        // the camera's stream while it is on

// ---- the One Euro filter, as export/video/smoothing.py has it: the same settings and names

const LEAST_CUTOFF = 1, FACE_GAIN = 30, OWN_GAIN = 30, SPEED_CUTOFF = 4; // Hz
const RESTART = 0.2;      // seconds without a face after which its smoothing starts anew
const share = (cutoff, step) => 1 / (1 + 1 / (2 * Math.PI * cutoff * step));

const startSmoothing = (points, time) => ({points, raw: points, velocity: points.map(() => [0, 0]), time});

// `points` [[x, y]] in pixels, `time` in seconds, `size` of the face in pixels -> the filter's next state.
function smooth(before, points, time, size) {
  const step = time - before.time, part = share(SPEED_CUTOFF, step);
  const velocity = points.map((point, i) => point.map((value, axis) => {
    const speed = (value - before.raw[i][axis]) / (step * size);
    return before.velocity[i][axis] + part * (speed - before.velocity[i][axis]);
  }));
  const face = [0, 1].map(axis => velocity.reduce((sum, one) => sum + one[axis], 0) / velocity.length);
  const smoothed = points.map((point, i) => {
    const own = Math.hypot(velocity[i][0] - face[0], velocity[i][1] - face[1]);
    const cutoff = LEAST_CUTOFF + FACE_GAIN * Math.hypot(...face) + OWN_GAIN * own;
    return point.map((value, axis) => {
      const last = before.points[i][axis];
      return last + share(cutoff, step) * (value - last);
    });
  });
  return {points: smoothed, raw: points, velocity, time};
}

const centre = ([left, top, right, bottom]) => [(left + right) / 2, (top + bottom) / 2];
const faceSize = ([left, top, right, bottom]) => Math.sqrt((right - left) * (bottom - top));
const apartBy = (a, b) => Math.hypot(centre(a)[0] - centre(b)[0], centre(a)[1] - centre(b)[1]);

// A function (answer, seconds) -> the answer with smoothed landmarks and boxes. A face is that of the
// last frame whose box is nearest.
function smoother() {
  let tracks = []; // {state, box}
  const rounded = value => Math.round(100 * value) / 100;
  return (answer, time) => {
    const free = tracks.filter(track => time - track.state.time < RESTART);
    const seen = [];
    const faces = answer.faces.map(face => {
      const size = faceSize(face.box);
      const near = free.filter(one => one.state.raw.length === face.landmarks.length + 2)
        .sort((a, b) => apartBy(a.box, face.box) - apartBy(b.box, face.box))[0];
      const points = [...face.landmarks, face.box.slice(0, 2), face.box.slice(2)];
      let state = startSmoothing(points, time);
      if (near && apartBy(near.box, face.box) < size / 2 && time > near.state.time) {
        free.splice(free.indexOf(near), 1);
        state = smooth(near.state, points, time, size);
      }
      seen.push({state, box: face.box});
      const now = state.points.map(point => point.map(rounded));
      return {...face, landmarks: now.slice(0, -2), box: now.slice(-2).flat()};
    });
    tracks = [...seen, ...free];
    return {...answer, faces};
  };
}

// ---- the camera

async function startCamera() {
  fail("");
  if (!navigator.mediaDevices) {
    fail("Browsers allow the camera only for pages of this machine (127.0.0.1) or over https.");
    return;
  }
  let camera;
  try {
    const wish = {facingMode: "user", width: {ideal: CAMERA_SIDE}, frameRate: {ideal: 30}};
    camera = await navigator.mediaDevices.getUserMedia({video: wish, audio: false});
  } catch (error) {
    fail("The camera cannot be used: " + ({
      NotAllowedError: "the browser does not allow it. Allow it beside the page's address, and try again.",
      NotFoundError: "none is connected.",
      NotReadableError: "another program uses it. Close that one, and try again.",
    }[error.name] || "the browser gives no reason. Connect it anew, and try again."));
    return;
  }
  stream = camera;
  leavePhotos();
  at("camera").textContent = "Stop the camera";
  const video = at("video");
  video.srcObject = camera;
  await video.play();
  const nextFrame = frameCounter(video, () => stream === camera);
  const takeFrame = frameTaker(video), smoothed = smoother();
  let last = performance.now(), interval = 0, followed = [], sinceDetection = 0, side = "";
  let coming = takeFrame();
  while (stream === camera) {
    const {frame, sent, time} = await coming;
    if (stream !== camera) return;
    if (side !== (side = `${frame.width}x${frame.height}`)) followed = []; // a phone is turned
    coming = nextFrame().then(takeFrame); // while this one is at work
    const start = performance.now();
    try {
      if (sinceDetection >= DETECT_EVERY) followed = [];
      sinceDetection = followed.length ? sinceDetection + 1 : 1;
      const answer = await ask(sent, "camera.jpg", followed, true);
      if (stream !== camera) return;
      const lost = followed.length && answer.follow.includes(null);
      followed = lost ? [] : apart(answer.follow.filter(face => face));
      const now = performance.now();
      interval = interval ? 0.8 * interval + 0.2 * (now - last) : now - last;
      last = now;
      const result = {picture: frame, answer: smoothed(answer, time), name: "camera", mirrored: true};
      display(result, now - start, 1000 / interval);
      fail("");
    } catch (error) {
      if (stream !== camera) return;
      fail(`The camera's picture ${error.message}`);
      if (error.status !== 503) return stopCamera();
      await later(1000 * error.retryAfter);
    }
  }
}

// Takes the video's frame: {frame, a canvas; sent, what is asked with; time in seconds}. Three canvases
// take turns: one is shown with its points, one is at work, and one gets the next frame.
function frameTaker(video) {
  // The frame is read back: from the memory of a graphics card that takes longer.
  const contexts = [0, 1, 2].map(() =>
    document.createElement("canvas").getContext("2d", {willReadFrequently: true}));
  return async () => {
    contexts.push(contexts.shift());
    const context = contexts[0], frame = context.canvas, time = performance.now() / 1000;
    const scale = Math.min(1, CAMERA_SIDE / Math.max(video.videoWidth, video.videoHeight));
    frame.width = Math.round(video.videoWidth * scale);
    frame.height = Math.round(video.videoHeight * scale);
    context.drawImage(video, 0, 0, frame.width, frame.height);
    return {frame, sent: await packed(frame), time};
  };
}

// Resolves as soon as there is a frame that was not there at the last call: at once if one came in
// the meantime. The same frame must not be sent twice if answers come faster than frames.
function frameCounter(video, isOn) {
  const wait = done => video.requestVideoFrameCallback ?
    video.requestVideoFrameCallback(done) : requestAnimationFrame(done);
  let count = 0, used = 0, wake = null;
  const onFrame = () => {
    count += 1;
    if (wake) wake();
    if (isOn()) wait(onFrame);
  };
  wait(onFrame);
  return async () => {
    if (count === used) await new Promise(done => { wake = done; });
    wake = null;
    used = count;
  };
}

// Two boxes may slide onto one face: only the first of them is followed.
function apart(faces) {
  const same = (a, b) => apartBy(a, b) < 0.3 * Math.min(a[2] - a[0], b[2] - b[0]);
  return faces.filter((face, i) => !faces.slice(0, i).some(other => same(face.box, other.box)));
}

function stopCamera() {
  if (!stream) return;
  stream.getTracks().forEach(track => track.stop());
  stream = null;
  at("video").srcObject = null;
  at("camera").textContent = "Use the camera";
  at("rate").hidden = true;
  say("The camera is off.");
}
