"""What torch writes: archives of TorchScript, of `torch.export`, and pickles of modules and weights."""

from __future__ import annotations

from pathlib import Path

from .found import Found
from .head import Head
from .pickles import globals_of

_TENSORS = ("torch._utils._rebuild_tensor", "torch._utils._rebuild_parameter")
_PLAIN = {"collections.OrderedDict", "torch.Size", "torch.device", "torch.dtype"}


def weights_advice(path: Path) -> str:
    return (
        f"it holds weights and no network. In Python: tiffin.models.save('name', Path({path.name!r}), "
        "options={'class': Net, 'init': {…}}, example=…), or write the network along: "
        "torch.jit.script(net).save('model.pt')"
    )


def look(head: Head) -> Found | None:
    if not head.members:
        return None
    if head.member("models/model.json") or head.member("serialized_exported_program.json"):
        return Found(path=head.path, what="a torch.export program", framework="torch_export")
    pickled = head.member("data.pkl")
    if not pickled:
        return None
    root = pickled.removesuffix("data.pkl")
    if any(name.startswith(f"{root}code/") for name in head.members):
        return Found(path=head.path, what="a TorchScript module", framework="torchscript")
    return _pickled(head, globals_of(head.read(pickled)) or [])


def _pickled(head: Head, names: list[str]) -> Found:
    first = next((name for name in names if name not in _PLAIN), "")
    if first.startswith("fastai."):
        return Found(path=head.path, what="a fastai learner", framework="fastai", pickle=first)
    if not first or first.startswith((*_TENSORS, "torch.FloatStorage", "torch.storage")):
        return Found(
            path=head.path, what="a PyTorch state dict", advice=weights_advice(head.path), weights_of="torch"
        )
    if first.startswith("torch.") and first.endswith("Storage"):
        return Found(
            path=head.path, what="a PyTorch state dict", advice=weights_advice(head.path), weights_of="torch"
        )
    if first.startswith(("pytorch_lightning.", "lightning.")):
        return Found(
            path=head.path,
            what="a checkpoint of PyTorch Lightning",
            advice="load it, Net.load_from_checkpoint(path), and give that to tiffin.models.save",
            weights_of="lightning",
        )
    return Found(path=head.path, what=f"a pickled PyTorch module of {first}", pickle=first)
