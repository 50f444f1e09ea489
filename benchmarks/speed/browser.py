"""The page that `convert --to web` writes, in headless Chromium: processor time, and its camera.

    senet-landmark convert --model senet-68 --to web --out page
    python benchmarks/speed/browser.py --page page

The processor time is that of the page's process by Chromium's own metrics, so that other programs
on the machine hardly count. The camera is a film of the embedded portrait with 30 frames a second;
its rate is the page's own and needs an idle machine. Needs Playwright (`.[dev]`) and Chromium.
"""

import argparse
import functools
import http.server
import re
import shutil
import tempfile
import threading
from pathlib import Path

from playwright.sync_api import CDPSession, sync_playwright

from senet_landmark.data_tools.synthesis.synthetic_tree import portrait_path

PREPARE = """async () => {
  const {warp, toCrop} = await import("./geometry.js"), {loadModel} = await import("./model.js");
  const {predictor, answer} = await loading;
  const model = await loadModel("model/" + predictor.page.model, ["landmarks", "variance"]);
  const [short, full] = await Promise.all(["short", "full"].map(name =>
    loadModel("detector/blazeface-" + name, ["boxes", "scores"])));
  const photo = await pixelsOf(await (await fetch("sample.jpg")).blob());
  const crop = size => warp(photo, toCrop([180, 80, 340, 240]), size);
  const pixels = new Map([model, short, full].map(one => [one, crop(one.size)]));
  const places = [{box: shown.answer.faces[0].box, roll: 0}];
  const picture = Object.assign(document.createElement("canvas"), {width: 512, height: 512});
  const result = {...shown, picture, mirrored: true};
  window.parts = {
    "model, one crop": () => model.run(pixels.get(model)),
    "a followed face: crop, model, JSON": () => answer(predictor, photo, {places, follow: true}),
    "drawing a frame of 512 pixels": () => new Promise(done =>
      requestAnimationFrame(() => { display(result, 1, 30); done(); })),
    "BlazeFace, short range": () => short.run(pixels.get(short)),
    "BlazeFace, full range": () => full.run(pixels.get(full)),
  };
}"""

REPEAT = "async ([name, times]) => { for (let i = 0; i < times; i += 1) await parts[name](); }"


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files, and logs nothing."""

    def log_message(self, *_):
        pass


def process_seconds(session: CDPSession) -> float:
    """The processor time of the page's process so far, in seconds, by Chromium's own metrics."""
    metrics = session.send("Performance.getMetrics")["metrics"]
    return next(metric["value"] for metric in metrics if metric["name"] == "ProcessTime")


def main() -> None:
    """Prints the processor time of each part of the page, and the camera's frames a second."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--page", type=Path, required=True)
    parser.add_argument("--chromium", default=shutil.which("chromium"))
    parser.add_argument("--times", type=int, default=60)
    arguments = parser.parse_args()
    handler = functools.partial(Quiet, directory=str(arguments.page))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        film = Path(folder, "film.mjpeg")
        film.write_bytes(portrait_path().read_bytes() * 30)
        options = ["--no-sandbox", "--use-fake-device-for-media-stream"]
        options += ["--use-fake-ui-for-media-stream", f"--use-file-for-fake-video-capture={film}"]
        browser = driver.chromium.launch(executable_path=arguments.chromium, args=options)
        page = browser.new_page()
        page.set_default_timeout(300_000)
        page.goto(f"http://127.0.0.1:{server.server_port}/")
        page.get_by_label("Model").locator("option").first.wait_for(state="attached")
        page.get_by_role("button", name="Try a sample").click()
        page.get_by_role("status").get_by_text("1 face.", exact=True).wait_for()
        page.evaluate(PREPARE)
        session = page.context.new_cdp_session(page)
        session.send("Performance.enable")
        print("| processor time, ms | |\n|---|---:|")
        for name in page.evaluate("Object.keys(parts)"):
            page.evaluate(REPEAT, [name, arguments.times // 2])  # its code is compiled better then
            start = process_seconds(session)
            page.evaluate(REPEAT, [name, arguments.times])
            spent = (process_seconds(session) - start) / arguments.times
            print(f"| {name} | {1000 * spent:.1f} |", flush=True)
        page.get_by_role("button", name="Use the camera").click()
        page.get_by_text(re.compile(r"\d frames a second")).wait_for()
        page.wait_for_timeout(10_000)
        print(f"\nThe camera: {page.locator('#rate').inner_text()}.")
        browser.close()
    server.shutdown()


if __name__ == "__main__":
    main()
