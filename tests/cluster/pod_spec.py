"""What a pod's specification means on this machine: environment, mounts, privileges, command."""

import base64
import operator
import re
from functools import reduce
from pathlib import Path
from typing import Any

from kubernetes import client


class PodSpec:
    """The one container of a pod. `folder` is the pod's own: what is mounted lies there, unless it is a claim's.

    Raises ValueError for what a node of ours does not know.
    """

    def __init__(self, pod: dict[str, Any], api: client.CoreV1Api, folder: Path) -> None:
        self.pod, self.api, self.folder = pod, api, folder
        self.namespace: str = pod["metadata"]["namespace"]
        spec = pod["spec"]
        if len(spec["containers"]) > 1 or spec.get("initContainers"):
            raise ValueError("pods of more than one container are not run here")
        (self.container,) = spec["containers"]

    def environment(self) -> dict[str, str]:
        """The container's variables, those of ConfigMaps, secrets and of the pod's fields too."""
        found: dict[str, str] = {}
        for source in self.container.get("envFrom", []):
            for kind, reference in source.items():
                found |= {key: value.decode() for key, value in self._contents(kind, reference).items()}
        for variable in self.container.get("env", []):
            value = variable.get("value", "")
            for kind, reference in variable.get("valueFrom", {}).items():
                if kind == "fieldRef":
                    value = self._field(reference["fieldPath"])
                else:
                    value = self._contents(kind, reference).get(reference["key"], b"").decode()
            found[variable["name"]] = _expanded(value, found)
        return found

    def command(self) -> list[str]:
        """The command with its arguments."""
        words = [*self.container.get("command", []), *self.container.get("args", [])]
        variables = self.environment()
        return [_expanded(word, variables) for word in words]

    def privileges(self) -> list[str]:
        """The options of setpriv(1) that the security context asks for."""
        context = self.pod["spec"].get("securityContext", {}) | self.container.get("securityContext", {})
        options = []
        if "runAsUser" in context:
            user = context["runAsUser"]
            options += [f"--reuid={user}", f"--regid={context.get('runAsGroup', user)}", "--clear-groups"]
        if context.get("capabilities", {}).get("drop") == ["ALL"]:
            options += ["--bounding-set=-all", "--inh-caps=-all"]
        if context.get("allowPrivilegeEscalation") is False:
            options.append("--no-new-privs")
        return options

    def mounts(self) -> dict[str, Path]:
        """Path in the container → what is mounted there."""
        volumes = {volume["name"]: volume for volume in self.pod["spec"].get("volumes", [])}
        return {
            mount["mountPath"]: self._volume(volumes[mount["name"]]) / mount.get("subPath", "")
            for mount in self.container.get("volumeMounts", [])
        }

    def _volume(self, volume: dict[str, Any]) -> Path:
        ((kind, source),) = [(key, value) for key, value in volume.items() if key != "name"]
        if kind == "persistentVolumeClaim":
            claim = self.api.read_namespaced_persistent_volume_claim(source["claimName"], self.namespace)
            return Path(self.api.read_persistent_volume(claim.spec.volume_name).spec.host_path.path)
        if kind == "hostPath":
            return Path(source["path"])
        folder: Path = self.folder / volume["name"]
        folder.mkdir(exist_ok=True)
        folder.chmod(0o777)
        if kind in ("configMap", "secret"):
            self._write(folder, kind, source)
        elif kind == "projected":
            for part in source["sources"]:
                for each, inner in part.items():
                    self._write(folder, each, inner)
        elif kind != "emptyDir":
            raise ValueError(f"volumes of the kind {kind} are not known here")
        return folder

    def _write(self, folder: Path, kind: str, source: dict[str, Any]) -> None:
        """Put the files of one source into a volume."""
        if kind == "serviceAccountToken":
            (folder / source["path"]).write_text(self._token(source))
        elif kind == "downwardAPI":
            for item in source["items"]:
                (folder / item["path"]).write_text(self._field(item["fieldRef"]["fieldPath"]))
        else:
            contents = self._contents(kind, source)
            for item in source.get("items") or [{"key": key, "path": key} for key in contents]:
                (folder / item["path"]).write_bytes(contents[item["key"]])

    def _token(self, source: dict[str, Any]) -> str:
        """A token of the pod's account, which ends with the pod."""
        meta = self.pod["metadata"]
        reference = client.V1BoundObjectReference(api_version="v1", kind="Pod", name=meta["name"], uid=meta["uid"])
        request = client.AuthenticationV1TokenRequest(
            spec=client.V1TokenRequestSpec(
                audiences=[source["audience"]] if "audience" in source else [],
                expiration_seconds=source.get("expirationSeconds", 3600),
                bound_object_ref=reference,
            )
        )
        account = self.pod["spec"]["serviceAccountName"]
        made = self.api.create_namespaced_service_account_token(account, self.namespace, request)
        return str(made.status.token)

    def _contents(self, kind: str, reference: dict[str, Any]) -> dict[str, bytes]:
        """The contents of a ConfigMap or secret; empty if it is optional and not there."""
        name = reference.get("name") or reference["secretName"]
        try:
            if kind.startswith("secret"):
                data = self.api.read_namespaced_secret(name, self.namespace).data or {}
                return {key: base64.b64decode(value) for key, value in data.items()}
            data = self.api.read_namespaced_config_map(name, self.namespace).data or {}
            return {key: value.encode() for key, value in data.items()}
        except client.ApiException as error:
            if error.status == 404 and reference.get("optional"):
                return {}
            raise

    def _field(self, path: str) -> str:
        """A field of the pod, as `metadata.name` or `metadata.labels['key']`."""
        if match := re.fullmatch(r"metadata\.(annotations|labels)\['(.*)'\]", path):
            return str(self.pod["metadata"].get(match[1], {}).get(match[2], ""))
        return str(reduce(operator.getitem, path.split("."), self.pod))


def _expanded(text: str, variables: dict[str, str]) -> str:
    """The text with `$(NAME)` replaced by the variable."""
    return re.sub(r"\$\(([\w.-]+)\)", lambda match: variables.get(match[1], match[0]), text)
