"""A user's name and password in a tracking server's URI, which neither logs nor files may show."""

import os
import re
from urllib.parse import unquote, urlsplit

_IN_A_URL = re.compile(r"(?<=://)[^/?#\s]*@")


def shown(text: str) -> str:
    """A text without the user's name and password that a URL in it may carry."""
    return _IN_A_URL.sub("", text)


def to_environment(tracking_uri: str) -> str:
    """The server's URI without a user's name and password; these go to MLflow's own environment variables, which this
    process and those that it starts read. Other URIs stay as they are: to a database MLflow knows no other way."""
    if not tracking_uri.startswith(("http://", "https://")):
        return tracking_uri
    parts = urlsplit(tracking_uri)
    if parts.username and parts.password:
        os.environ["MLFLOW_TRACKING_USERNAME"] = unquote(parts.username)
        os.environ["MLFLOW_TRACKING_PASSWORD"] = unquote(parts.password)
    return shown(tracking_uri)
