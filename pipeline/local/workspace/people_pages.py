"""The addresses that Register's answer has for people, as far as this workspace has pages.

    /explore/data/models/<catalog>/<schema>/<model>/version/<n>     what to type to see the version
    /s3/object/<bucket>?prefix=<key>                                what to type to see the object
    /ml/experiments/<id>/runs/<run id>                              the run, in mlflow's own pages

Databricks and AWS ask a person to sign in there. Nobody can sign in here with a browser, so the
first two show names that the address has already, and the command that reads what they name with
the rights of the shell. mlflow's pages are open to everybody on this machine, as before.
"""

from html import escape
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

_POLICY = {"content-security-policy": "default-src 'none'"}
_ANSWERED = "<!DOCTYPE html><html lang=en><meta charset=utf-8><title>{title}</title>{body}</html>"


def routes(tracking_url: str) -> list[Route]:
    """Return the pages; `tracking_url` is mlflow's own server."""

    async def run(request: Request) -> Response:
        names = {name: quote(text) for name, text in request.path_params.items()}
        return RedirectResponse(
            f"{tracking_url}/#/experiments/{names['experiment']}/runs/{names['run']}"
        )

    return [
        Route("/explore/data/models/{catalog}/{schema}/{model}/version/{version}", _version),
        Route("/s3/object/{bucket}", _object),
        Route("/ml/experiments/{experiment}/runs/{run}", run),
    ]


async def _version(request: Request) -> Response:
    names = request.path_params
    version = f"{names['catalog']}.{names['schema']}.{names['model']}@{names['version']}"
    return _page(version, f"python -m pipeline.trace --env local --model {version}")


async def _object(request: Request) -> Response:
    key = request.query_params.get("prefix", "")
    execution = next(iter(key.split("/")[1:]), "EXECUTION")
    shown = f"s3://{request.path_params['bucket']}/{key}"
    words = f"--execution {execution} --registered --open"
    return _page(shown, f"python -m pipeline.report --env local {words}")


def _page(name: str, command: str) -> Response:
    body = (
        f"<h1>{escape(name)}</h1><p>The embedded environment has no page for it where a person "
        f"signs in. In a shell of the environment, type</p><pre>{escape(command)}</pre>"
    )
    return HTMLResponse(_ANSWERED.format(title=escape(name), body=body), headers=_POLICY)
