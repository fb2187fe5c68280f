"""Options of the commands that talk to a server of Kubeflow Pipelines."""

from dataclasses import dataclass
from typing import Annotated

from tyro.conf import Positional, arg

from data_prep.arguments import optional

Parameters = Positional[
    Annotated[tuple[str, ...], arg(metavar="NAME=VALUE", help_behavior_hint="(default: none but the file's)")]
]


@dataclass(frozen=True)
class ServerOptions:
    """The server.

    Attributes:
        host: URL of Kubeflow Pipelines' API.
        namespace: Your namespace, where the server has several users.
        token_file: File with the bearer token that the server asks for.
        experiment: Experiment of the runs; it is made if need be.
        service_account: Service account of the steps' pods.
    """

    host: Annotated[str | None, optional("URL", "KF_PIPELINES_ENDPOINT")] = None
    namespace: Annotated[str | None, optional("NAME", "the server has one user")] = None
    token_file: Annotated[str | None, optional("FILE", "no token")] = None
    experiment: Annotated[str, arg(metavar="NAME")] = "maskx"
    service_account: Annotated[str | None, optional("NAME", "the server's")] = None
