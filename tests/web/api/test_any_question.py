"""Whatever is asked by the description of the API is answered as the description says."""

import tomllib
from typing import Any

import pytest
import schemathesis
from django.core.wsgi import get_wsgi_application
from hypothesis import HealthCheck, Phase, settings
from pytest_django import Settings
from schemathesis.config import SchemathesisConfig

from chandlery.models import Market
from chandlery.web.api.urls import api
from tests.conftest import CHECKOUT
from tests.web.api.test_work import TOKEN, Workers, workers

__all__ = ["workers"]

CONFIG = SchemathesisConfig.from_dict({"seed": 1, **tomllib.loads((CHECKOUT / "schemathesis.toml").read_text())})
application = get_wsgi_application()


def asked_from_here(environ: dict[str, Any], start_response: Any) -> Any:
    return application(environ | {"REMOTE_ADDR": "127.0.0.1"}, start_response)


description = schemathesis.openapi.from_dict(dict(api.get_openapi_schema()), config=CONFIG)
description.app = asked_from_here
description.location = "/api/v1/openapi.json"


@pytest.mark.slow
@pytest.mark.django_db
@description.parametrize()
@settings(
    max_examples=15,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_any_question_is_answered_as_described(
    case: schemathesis.Case[Any], market: Market, workers: Workers, settings: Settings
) -> None:
    """The market is there, whoever asks has the token, and nothing is really started."""
    settings.API_TOKEN = TOKEN
    case.call_and_validate(headers={"Authorization": f"Bearer {TOKEN}"})
