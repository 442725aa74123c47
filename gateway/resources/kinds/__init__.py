"""The kinds that load() knows: one file each, one line each here."""

from ..schema import Resource
from .felix import FelixConfiguration
from .gateway import Gateway
from .ippool import IPPool
from .node import CalicoNode, KubernetesNode

KINDS: tuple[type[Resource], ...] = (Gateway, IPPool, FelixConfiguration, CalicoNode, KubernetesNode)
