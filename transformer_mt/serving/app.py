"""The routes: LibreTranslate's, a page, and counts for Prometheus. Each is thin; see `service` for what they do.

A route that needs a model reads what is asked from `request.state.fields`, which `front` has parsed, and answers with
`await while_connected(request, service.thread.results(work, texts))`: within the limits, in the thread of the models.
"""

import asyncio
import re
from collections.abc import Awaitable, Collection, Mapping
from typing import Any, TypeVar

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.routing import Route
from starlette.types import ASGIApp

from transformer_mt import __version__
from transformer_mt.decoding.translation import Wishes
from transformer_mt.serving import documents, specification
from transformer_mt.serving.asking import read_languages, read_order, read_texts, take_apart
from transformer_mt.serving.documents import Document, Shelf
from transformer_mt.serving.front import Front, answer
from transformer_mt.serving.inspection import MOST_CHARACTERS, inspected, read_inspection
from transformer_mt.serving.languages import AUTO
from transformer_mt.serving.model_thread import Translating
from transformer_mt.serving.page_files import PAGE_POLICY, read_page_files
from transformer_mt.serving.refusals import Refusal
from transformer_mt.serving.service import Service

TYPING_MS = 500
"""For which a page waits after a key before it asks."""
DOWNLOADS = "/download_file/"
FORM_BYTES = 4 << 10
"""That a form has around a file, at most."""
_OPEN = ("/health", "/languages", "/frontend/settings", "/spec", DOWNLOADS)
"""Answered without a key: clients look at them to find out whether they need one; a download's name is a secret."""
_HOST = re.compile(r"[\w.\-]+(?::\d+)?|\[[0-9a-fA-F:]+\](?::\d+)?")

Answer = TypeVar("Answer")


def make_app(service: Service, keys: Collection[str] = ()) -> ASGIApp:
    """The server as an ASGI application; with `keys`, one of them is needed."""
    app = FastAPI(
        title="LibreTranslate",  # by which clients such as Dialect know the interface
        description="The interface of LibreTranslate, served by transformer_mt.",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
    )
    app.add_exception_handler(Refusal, _refuse)
    app.add_exception_handler(HTTPException, _refuse_http)
    app.add_exception_handler(Exception, _fail)
    page = read_page_files()
    _add_facts(app, service, bool(keys))
    _add_page(app, page)
    _add_work(app, service)
    _add_files(app, service)
    names = {route.path: route.name for route in app.routes if isinstance(route, Route)}
    return Front(app, service.limits, service.metrics, keys, (*_OPEN, *page), names)


def _add_facts(app: FastAPI, service: Service, needs_key: bool) -> None:
    """Routes that are answered at once."""

    async def health(request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def languages(request: Request) -> Response:
        return JSONResponse(service.directions.as_json())

    async def settings(request: Request) -> Response:
        return JSONResponse(_frontend_settings(service, needs_key))

    async def spec(request: Request) -> Response:
        return JSONResponse(app.openapi())

    async def metrics(request: Request) -> Response:
        return Response(service.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    app.add_route("/health", health)
    app.add_route("/languages", languages, ["GET", "POST"])  # Argos Translate posts
    app.add_route("/frontend/settings", settings)
    app.add_route("/spec", spec)
    app.add_route("/metrics", metrics)


def _add_page(app: FastAPI, page: Mapping[str, tuple[bytes, str]]) -> None:
    async def file(request: Request) -> Response:
        content, kind = page[request.url.path]
        return Response(content, media_type=kind, headers={"content-security-policy": PAGE_POLICY})

    for path in page:
        app.add_route(path, file)


def _add_work(app: FastAPI, service: Service) -> None:
    """Routes that are answered with what models or texts say."""

    @app.post("/translate", openapi_extra=specification.TRANSLATE)
    async def translate(request: Request) -> Response:
        """Translate a text or a list of texts."""
        order = read_order(request.state.fields, service.limits)
        return JSONResponse(await while_connected(request, service.translate(order)))

    @app.post("/detect", openapi_extra=specification.DETECT)
    async def detect(request: Request) -> Response:
        """Tell which of the source languages a text is in."""
        asked = read_texts(request.state.fields, service.limits)
        return JSONResponse([one.as_json() for one in service.directions.detect(asked.texts)])

    @app.post("/inspect", openapi_extra=specification.INSPECT)
    async def inspect(request: Request) -> Response:
        """Tell what happens inside a model that translates a line: its words, its pieces, its attention."""
        asked = read_inspection(request.state.fields)
        found = await while_connected(request, inspected(service, asked))
        return Response(found, media_type="application/json")


def _add_files(app: FastAPI, service: Service) -> None:
    """Routes to send a file and to fetch what has become of it."""
    shelf = Shelf()

    @app.post("/translate_file", openapi_extra=specification.TRANSLATE_FILE)
    async def translate_file(request: Request) -> Response:
        """Translate a text or HTML file, which can be fetched from the URL in the answer."""
        document = documents.read_document(request.state.fields, service.limits.request_characters)
        source, target = read_languages(request.state.fields)
        done = await while_connected(request, _translated(service, document, source, target))
        return JSONResponse({"translatedFileUrl": f"{_base_url(request)}{DOWNLOADS}{shelf.put(done)}"})

    async def download(request: Request) -> Response:
        document = shelf.get(request.path_params["name"])
        headers = {
            "content-disposition": f'attachment; filename="translation{document.suffix}"',
            "content-security-policy": "default-src 'none'; sandbox",
        }
        kind = "text/html" if document.format == "html" else "text/plain"
        return Response(document.text, media_type=f"{kind}; charset=utf-8", headers=headers)

    app.add_route(f"{DOWNLOADS}{{name}}", download)


async def _translated(service: Service, document: Document, source: str, target: str) -> Document:
    (text,) = take_apart([document.text], document.format, service.limits)
    detected = service.detected(source, [document.text])
    translator = service.directions.translator(
        detected.language if detected else service.directions.source(source), service.directions.target(target)
    )
    wishes = Wishes(protect=service.protect, markup=document.format == "html")
    (found,) = await service.translations([text], Translating(translator, wishes))
    return Document(text.joined([one.text for one in found]), document.suffix)


async def while_connected(request: Request, work: Awaitable[Answer]) -> Answer:
    """What `work` comes to; it is cancelled when the client goes before, and Refusal raised, which nobody reads."""
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(request.receive())  # the body is read: nothing else can come
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise Refusal(499, "The client has gone")
    finally:
        for one in (task, gone):
            one.cancel()


def _frontend_settings(service: Service, needs_key: bool) -> dict[str, Any]:
    limits, known = service.limits, {str(one["code"]): one for one in service.directions.as_json()}
    target = known[service.directions.targets[0]]
    return {
        "alternativesLimit": limits.alternatives,
        "apiKeys": needs_key,
        "charLimit": limits.text_characters,
        "fileCharLimit": limits.request_characters,
        "fileSizeLimit": limits.body_bytes - FORM_BYTES,
        "filesTranslation": True,
        "frontendTimeout": TYPING_MS,
        "inspectionLimit": MOST_CHARACTERS,
        "keyRequired": needs_key,
        "language": {
            "source": {"code": AUTO, "name": "Auto Detect"},
            "target": {"code": target["code"], "name": target["name"]},
        },
        "suggestions": False,
        "supportedFilesFormat": list(documents.FORMATS),
    }


def _base_url(request: Request) -> str:
    """Where this server is, as the client called it."""
    host = request.headers.get("host", "")
    if not _HOST.fullmatch(host):
        raise Refusal(400, "Invalid request: the Host header names no host")
    return f"{request.url.scheme}://{host}"


async def _refuse(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    return answer(error)


async def _refuse_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": str(error.detail)}, error.status_code, error.headers)


async def _fail(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": "An error of the server, of which its log tells more"}, 500)
