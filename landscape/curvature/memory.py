"""What graphs and vectors take in memory, how many a budget holds, and what a device has free."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

_HOST = Path("/proc/meminfo")
GIB = 2**30
WORKING_GRAPHS = 2.5  # one batch being built and multiplied, in graphs of it; measured 2.4


@dataclass(frozen=True)
class GraphSize:
    """Bytes that a graph takes: for each of its samples, and whatever their number."""

    sample: int
    fixed: int

    def working_memory(self, samples: int) -> int:
        """Bytes of the budget within which batches of so many samples are multiplied."""
        return int(2 * WORKING_GRAPHS * (self.fixed + self.sample * samples))

    def most_samples(self, budget: int) -> int:
        """Samples of the largest batch whose working memory is at most half of the budget."""
        return max(1, int((budget / (2 * WORKING_GRAPHS) - self.fixed) / self.sample))

    def graphs_kept(self, budget: int, samples: int) -> int:
        """Graphs of so many samples that fit beside one batch's working memory."""
        size = self.fixed + self.sample * samples
        return max(0, int(budget / size - WORKING_GRAPHS))


def graph_size(build: Callable[[slice], object], count: int, model: nn.Module) -> GraphSize:
    """Measure graphs of all and of half of a few samples.

    Args:
        build: builds the graph of the samples in a slice.
        count: samples there are.
        model: whose parameters and buffers do not count.
    """
    whole, half = saved_bytes(build, slice(0, count), model), count // 2
    if half < 2:
        return GraphSize(max(whole // count, 1), 0)
    part = saved_bytes(build, slice(0, half), model)
    sample = max((whole - part) // (count - half), 1)
    return GraphSize(sample, max(whole - sample * count, 0))


def saved_bytes(build: Callable[[slice], object], samples: slice, model: nn.Module) -> int:
    """Build a graph and count the bytes of the tensors it saves, each storage once."""
    own = {t.untyped_storage().data_ptr() for t in (*model.parameters(), *model.buffers())}
    storages: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        try:
            place = storage.data_ptr()
        except RuntimeError:  # within torch.func, where it is not known
            place = id(storage)
        storages[place] = storage.nbytes()
        return tensor.detach()  # the tensor itself would make a cycle that is never freed

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        graph = build(samples)
    del graph
    return sum(size for at, size in storages.items() if at not in own)


def free_bytes(device: torch.device) -> int | None:
    """Ask for the memory that is free, PyTorch's own reserve on a GPU included.

    Returns:
        ``None`` on a host that does not tell, outside Linux.
    """
    if device.type == "cuda":
        reserved = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(torch.cuda.mem_get_info(device)[0]) + reserved
    lines = _HOST.read_text(encoding="utf-8").splitlines() if _HOST.is_file() else []
    found = [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")]
    return found[0] if found else None
