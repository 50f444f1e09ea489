"""`senet-landmark serve`: a page and an HTTP endpoint for landmarks; no photo is stored."""

import asyncio
import contextlib
import importlib.metadata
import socket
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import uvicorn
from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, Response
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.types import ASGIApp

from senet_landmark.errors import InputError
from senet_landmark.export.page.page import describe, sample_photo
from senet_landmark.export.service.answer import Models, answer, choose_model
from senet_landmark.export.service.guard import LOCAL_HOSTS, guarded, is_loopback, page_policy
from senet_landmark.export.service.input import (
    Limits,
    check_length,
    is_form,
    parse_boxes,
    parse_roll,
    photo_of,
    read_body,
    upload_drained,
)
from senet_landmark.export.service.openapi import answers, describe_answers
from senet_landmark.export.service.page import load_page


def make_app(models: Models, limits: Limits | None = None, local: bool = True) -> ASGIApp:
    """The service as an ASGI application.

    Args:
      models: the loaded models.
      limits: limits of photos and of load; None: the defaults.
      local: whether only this machine can reach it; requests for other host names are then
        refused.
    """
    limits = limits or Limits()
    page, sample = load_page(), sample_photo()
    page_headers = {"Content-Security-Policy": page_policy(page)}
    pool = ThreadPoolExecutor(limits.workers, thread_name_prefix="predict")
    running = asyncio.Semaphore(limits.workers)
    accepted = asyncio.Semaphore(limits.workers + limits.queue)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        # Each thread makes its own dlib detector, which takes almost a second: do it now.
        for _worker in range(limits.workers):
            pool.submit(models.detector.find, np.zeros((80, 80, 3), np.uint8))
        yield
        pool.shutdown(wait=False, cancel_futures=True)

    app = FastAPI(
        title="senet_landmark",
        version=importlib.metadata.version("senet_landmark"),
        lifespan=lifespan,
        # FastAPI's pages about the API load scripts from other servers.
        docs_url=None,
        redoc_url=None,
    )
    _answer_errors_as_json(app)

    @app.get("/", include_in_schema=False)
    async def show_page() -> HTMLResponse:
        return HTMLResponse(page, headers=page_headers)

    @app.get("/sample.jpg", include_in_schema=False)
    async def show_sample() -> Response:
        return Response(sample, media_type="image/jpeg")

    @app.get("/healthz", responses=answers("Health"), response_model=None)
    async def health() -> dict[str, str]:
        """Whether the service runs."""
        return {"status": "ok"}

    @app.get("/v1/models", responses=answers("Models"), response_model=None)
    async def list_models() -> dict[str, Any]:
        """The models, the default model, and the limits of a photo."""
        return {
            "default": next(iter(models.predictors)),
            "models": [
                describe(name, predictor.contract, predictor.engine)
                for name, predictor in models.predictors.items()
            ],
            "limits": {"megabytes": limits.megabytes, "megapixels": limits.megapixels},
        }

    @app.post(
        "/v1/landmarks",
        openapi_extra=_BODY,
        responses=answers("Photo", 400, 404, 408, 413, 415, 422, 503),
    )
    async def find_landmarks(
        request: Request,
        model: str | None = None,
        boxes: str | None = None,
        roll: str | None = None,
        follow: bool = False,
        name: str | None = None,
    ) -> JSONResponse:
        """The faces of a photo.

        `boxes`: left,top,right,bottom;… in pixels, for no detector; `roll`: degrees;… by which the
        faces in these boxes lean clockwise. `follow`: answer also where to look in the next frame.
        `name`: the photo's name, which the answer repeats as `image`.
        """
        async with upload_drained(request):
            predictor = choose_model(models, model)
            face_boxes = parse_boxes(boxes)
            face_roll = parse_roll(roll, face_boxes)
            content_type = request.headers["content-type"] if is_form(request) else None
            check_length(request, limits)
            if accepted.locked():
                raise _busy(limits)
            async with accepted:
                body = await read_body(request, limits)
                async with running:
                    if await request.is_disconnected():
                        raise HTTPException(400, "The client closed the connection.")

                    def work() -> dict[str, Any]:
                        photo, filename = photo_of(body, content_type, limits)
                        return answer(
                            predictor,
                            models.detector,
                            photo,
                            face_boxes,
                            limits,
                            face_roll,
                            follow,
                            filename if name is None else name,
                        )

                    result = await asyncio.get_running_loop().run_in_executor(pool, work)
        return JSONResponse(result)

    describe_answers(app)
    return guarded(app, LOCAL_HOSTS if local else None)


def _busy(limits: Limits) -> HTTPException:
    most = limits.workers + limits.queue
    return HTTPException(
        503, f"{most} photos are in work; try again in a second.", {"Retry-After": "1"}
    )


def _answer_errors_as_json(app: FastAPI) -> None:
    """Makes every error an answer {"error": message}."""

    @app.exception_handler(StarletteHTTPException)
    async def refused(_: Request, error: StarletteHTTPException) -> JSONResponse:
        return JSONResponse({"error": error.detail}, error.status_code, error.headers)

    @app.exception_handler(InputError)
    async def bad_photo(_: Request, error: InputError) -> JSONResponse:
        return JSONResponse({"error": str(error)}, 422)

    @app.exception_handler(RequestValidationError)
    async def bad_request(_: Request, error: RequestValidationError) -> JSONResponse:
        reasons = "; ".join(f"{part['loc'][-1]}: {part['msg']}" for part in error.errors())
        return JSONResponse({"error": reasons}, 422)

    @app.exception_handler(Exception)
    async def failed(_: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"error": "The service failed; its log says why."}, 500)


def bind(host: str, port: int) -> socket.socket:
    """A socket that listens. Raises InputError if the address is in use, or not of this machine.

    It is made before the models are loaded, so that the user learns at once that a port is in use.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=128)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(
            f"{host}, port {port}: cannot be listened on ({reason}). Choose another --port, or 0 "
            "for any free one; --host is an address of this machine."
        ) from error


def run(models: Models, bound: socket.socket, limits: Limits | None = None) -> None:
    """Serves on a socket from `bind` until Ctrl-C, and then raises KeyboardInterrupt."""
    local = is_loopback(bound.getsockname()[0])
    make_server(make_app(models, limits, local)).run(sockets=[bound])


def make_server(app: ASGIApp) -> uvicorn.Server:
    """The application in uvicorn, which logs failures, but nothing about a photo."""
    config = uvicorn.Config(
        app, http="h11", ws="none", loop="asyncio", log_level="warning", access_log=False,
        server_header=False, proxy_headers=False, timeout_graceful_shutdown=5,
    )  # fmt: skip
    return uvicorn.Server(config)


def address(bound: socket.socket) -> str:
    """The page's address."""
    host, port = bound.getsockname()[:2]
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


_PHOTO: dict[str, Any] = {"schema": {"type": "string", "format": "binary"}}
_FORM: dict[str, Any] = {"type": "object", "properties": {"photo": _PHOTO["schema"]}}
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "image/*": _PHOTO,
            "application/octet-stream": _PHOTO,
            "multipart/form-data": {"schema": _FORM},
        },
    }
}
"""The request body for OpenAPI: FastAPI cannot know it, as the body is read as a stream."""
