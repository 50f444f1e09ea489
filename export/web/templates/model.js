// A frozen model in ONNX Runtime: NAME.onnx with its contract, NAME.json, in a folder beside this file.

import * as ort from "./onnxruntime/ort.wasm.min.mjs";

const FORMAT_VERSION = 1; // of the contracts that are read

ort.env.wasm.wasmPaths = new URL("onnxruntime/", import.meta.url).href;
// More threads would need headers that a plain file server does not send (COOP and COEP), and small
// models gain little by them.
ort.env.wasm.numThreads = 1;

async function read(file) {
  const path = file.split("/").map(encodeURIComponent).join("/");
  const answer = await fetch(new URL(path, import.meta.url)).catch(() => null);
  if (!answer?.ok) throw new Error(`${file} is not beside the page. Copy the whole folder.`);
  return answer;
}

export async function readJson(file) {
  const text = await (await read(file)).text();
  try {
    return JSON.parse(text);
  } catch {
    throw new Error(`${file} is no JSON. Write the folder again.`);
  }
}

async function checkContract(name, contract, bytes) {
  if (contract.format_version !== FORMAT_VERSION)
    throw new Error(`${name}.json has format version ${contract.format_version}, this page reads ` +
      `${FORMAT_VERSION}. Write the folder again.`);
  if (!crypto.subtle) return; // a page that is neither of this machine nor over https
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  const sha256 = [...digest].map(byte => byte.toString(16).padStart(2, "0")).join("");
  if (sha256 !== contract.conversions?.[".onnx"])
    throw new Error(`${name}.json belongs to another model than ${name}.onnx. Write the folder again.`);
}

// `names`: outputs in the contract that are wanted where the model has them. `run(pixels)` takes one
// picture, Float32Array [H, W, 3], and resolves to name -> Float32Array.
export async function loadModel(name, names) {
  const [contract, file] = await Promise.all([readJson(`${name}.json`), read(`${name}.onnx`)]);
  const bytes = await file.arrayBuffer();
  await checkContract(name, contract, bytes);
  const session = await ort.InferenceSession.create(bytes, {executionProviders: ["wasm"]});
  const [batch, height, width] = contract.input.shape, wanted = names.filter(one => contract[one]);
  const count = Math.max(batch, 1); // of a fixed batch, the first picture is used
  let last = Promise.resolve(); // a session runs one picture at a time
  async function forward(pixels) {
    const values = new Float32Array(count * pixels.length);
    values.set(pixels);
    const input = new ort.Tensor("float32", values, [count, height, width, 3]);
    const outputs = await session.run({[contract.input.name]: input}, wanted.map(one => contract[one].name));
    return Object.fromEntries(wanted.map(one => {
      const {data} = outputs[contract[one].name];
      return [one, data.slice(0, data.length / count)];
    }));
  }
  const run = pixels => {
    const result = last.then(() => forward(pixels));
    last = result.catch(() => null);
    return result;
  };
  return {name, contract, size: [width, height], run};
}
