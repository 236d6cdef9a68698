"""The same networks, steps and ops in PyTorch, to be timed beside ours (compare.py, gpu_check.sh).

Written as a PyTorch user would write them: fused AdamW, fused attention wherever no policy is given, autocast for bf16.
Needs torch, and nothing else of ours.

    torch_peer.py line NAME [--bf16] [--compile] [--batch 4] [--threads 2]   one line of compare.py: NAME VALUE UNIT MIB
    torch_peer.py steps [--device cuda] [--tf32 | --bf16] [--compile] [--batch 4] [--threads 2] [--only train_step]
    torch_peer.py ops   [--device cuda] [--tf32 | --bf16] [--threads 2]     lines NAME <tab> PASS <tab> MILLISECONDS, for bench_floor
"""

import argparse
import dataclasses
import math
import resource
import statistics
import time

import torch
from torch import nn
from torch.nn import functional as F


@dataclasses.dataclass(frozen=True)
class Size:
    """Of clips and networks."""

    clip: tuple = (16, 112, 112)
    patch: tuple = (2, 16, 16)
    width: int = 384
    heads: int = 6
    depth: int = 12
    score_before: tuple = (3, 6, 9)
    keep: tuple = (0.7, 0.49, 0.343)  # of all tokens, after each scorer
    recogniser_depth: int = 12
    classes: int = 51

    @property
    def grid(self):
        return tuple(c // p for c, p in zip(self.clip, self.patch))

    @property
    def slots(self):
        return self.grid[0]

    @property
    def tokens(self):
        return math.prod(self.grid)


FULL = Size()
TINY = Size((8, 48, 48), (2, 8, 8), 48, 3, 4, (1, 2, 3), (0.5, 0.25, 0.125), 3, 8)  # tools/recipes/quickstart.toml
SLOTS, TOKENS, WIDTH, HEADS = FULL.slots, FULL.tokens, FULL.width, FULL.heads  # of the ops


# ---- networks


def attend(q, k, v, keep, smoothing=1e-6):
    """Softmax with policy: (B, H, N, D) three times and (B, N)."""
    n = q.shape[-2]
    scores = torch.matmul(q, k.mT) / math.sqrt(q.shape[-1])
    seen = keep[:, None, None, :].expand(-1, -1, n, -1)
    seen = seen + torch.eye(n, device=q.device, dtype=keep.dtype) * (1 - seen)
    weight = torch.exp(scores.float() - scores.float().amax(-1, keepdim=True)) * seen
    weight = (weight + smoothing / n) / (weight.sum(-1, keepdim=True) + smoothing)
    return torch.matmul(weight.to(v.dtype), v)


class Block(nn.Module):
    def __init__(self, size):
        super().__init__()
        width, self.heads = size.width, size.heads
        self.norm1, self.norm2 = nn.LayerNorm(width, eps=1e-6), nn.LayerNorm(width, eps=1e-6)
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x, keep=None):
        b, n, width = x.shape
        q, k, v = self.qkv(self.norm1(x)).reshape(b, n, 3, self.heads, -1).permute(2, 0, 3, 1, 4).unbind(0)
        mixed = F.scaled_dot_product_attention(q, k, v) if keep is None else attend(q, k, v, keep)
        x = x + self.proj(mixed.transpose(1, 2).reshape(b, n, width))
        return x + self.mlp(self.norm2(x))


class Trunk(nn.Module):
    """Tubelet embedding, positions, blocks."""

    def __init__(self, size, depth):
        super().__init__()
        self.size = size
        self.patch = nn.Conv3d(3, size.width, size.patch, size.patch)
        self.place = nn.Parameter(0.02 * torch.randn(1, size.tokens, size.width))
        self.blocks = nn.ModuleList([Block(size) for _ in range(depth)])

    def embed(self, clip):
        return self.patch(clip).flatten(2).mT + self.place


class Scorer(nn.Module):
    def __init__(self, size):
        super().__init__()
        width, half, quarter = size.width, size.width // 2, size.width // 4
        self.slots = size.slots
        self.into = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.GELU())
        self.out = nn.Sequential(nn.Linear(width, half), nn.GELU(), nn.Linear(half, quarter), nn.GELU(),
                                 nn.Linear(quarter, 2))

    def forward(self, x, keep):
        b, n, _ = x.shape
        alone, slot, clip = self.into(x).chunk(3, -1)

        def mean(values, groups):
            values, weight = values.reshape(b, groups, n // groups, -1), keep.reshape(b, groups, n // groups, 1)
            total = (values * weight).sum(2, keepdim=True) / weight.sum(2, keepdim=True).clamp_min(1e-6)
            return total.expand_as(values).reshape(b, n, -1)

        return F.log_softmax(self.out(torch.cat([alone, mean(slot, self.slots), mean(clip, 1)], -1)).float(), -1)


class Anonymiser(Trunk):
    def __init__(self, size):
        super().__init__(size, size.depth)
        self.scorers = nn.ModuleList([Scorer(size) for _ in size.score_before])
        self.head = nn.Sequential(nn.LayerNorm(size.width, eps=1e-6), nn.Linear(size.width, 3 * math.prod(size.patch)))

    def pixels(self, tokens):
        b, grid, patch = tokens.shape[0], self.size.grid, self.size.patch
        return tokens.reshape(b, *grid, *patch, 3).permute(0, 7, 1, 4, 2, 5, 3, 6).reshape(b, 3, *self.size.clip)

    def forward(self, clip):
        """Training: pixels of every tubelet, policy (B, N), the decisions one by one."""
        x = self.embed(clip)
        keep, decisions = x.new_ones(x.shape[:2], dtype=torch.float32), []
        for i, block in enumerate(self.blocks):
            if i in self.size.score_before:
                scored = self.scorers[len(decisions)](x, keep)
                keep = keep * F.gumbel_softmax(scored, hard=True)[..., 0]
                decisions.append(keep)
            x = block(x, keep)
        return self.pixels(self.head(x)), keep, decisions

    def anonymise(self, clip):
        """Inference: the tokens really go."""
        x = self.embed(clip)
        b, tokens, slots = x.shape[0], self.size.tokens, self.size.slots
        rows, m = torch.arange(tokens, device=x.device).expand(b, -1), 0
        for i, block in enumerate(self.blocks):
            if i in self.size.score_before:
                left = x.shape[1] // slots
                score = self.scorers[m](x, x.new_ones(x.shape[:2], dtype=torch.float32))[..., 0]
                best = score.reshape(b, slots, left).topk(int(tokens // slots * self.size.keep[m])).indices
                best = (best + left * torch.arange(slots, device=x.device)[:, None]).flatten(1)
                x = x.gather(1, best[..., None].expand(-1, -1, x.shape[2]))
                rows, m = rows.gather(1, best), m + 1
            x = block(x)
        drawn = self.head(x)
        whole = drawn.new_zeros(b, tokens, drawn.shape[-1])
        return self.pixels(whole.scatter(1, rows[..., None].expand_as(drawn), drawn))


class Recogniser(Trunk):
    def __init__(self, size, outputs):
        super().__init__(size, size.recogniser_depth)
        self.norm, self.out = nn.LayerNorm(size.width, eps=1e-6), nn.Linear(size.width, outputs)

    def forward(self, clip, keep):
        x = self.embed(clip)
        for block in self.blocks:
            x = block(x, keep)
        weight = keep[..., None]
        return self.out(self.norm((x * weight).sum(1) / weight.sum(1).clamp_min(1e-6))).float()


# ---- timing


class Machine:
    def __init__(self, a):
        self.device, self.bf16, self.compile, self.batch = a.device, a.bf16, a.compile, a.batch
        self.seconds = a.seconds
        torch.set_num_threads(a.threads)
        torch.manual_seed(0)
        if a.device == "cuda":
            torch.backends.cuda.matmul.allow_tf32 = a.tf32  # else f32 means f32, as ours does

    def autocast(self):
        return torch.autocast(self.device, torch.bfloat16, enabled=self.bf16)

    def wrapped(self, run):
        return torch.compile(run) if self.compile else run

    def made(self, network):
        network = network.to(self.device)
        return network, self.wrapped(network)

    def randn(self, *shape, **more):
        return torch.randn(*shape, device=self.device, **more)

    def wait(self):
        if self.device == "cuda":
            torch.cuda.synchronize()

    def median(self, run, least=5):
        times, start = [], None
        for _ in range(3 if self.device == "cuda" else 1):
            run()
        self.wait()
        start = time.perf_counter()
        while len(times) < least or time.perf_counter() - start < self.seconds:
            before = time.perf_counter()
            run()
            self.wait()
            times.append(time.perf_counter() - before)
        return statistics.median(times)


# ---- whole steps, seconds a clip


def adamw(network):
    weights = [p for n, p in network.named_parameters() if p.ndim > 1 and n != "place"]
    others = [p for n, p in network.named_parameters() if p.ndim == 1 or n == "place"]
    groups = [{"params": weights, "weight_decay": 0.05}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=1e-5, fused=True)


def train_step(m, size=FULL):
    """The adversarial step, order sequential: recognisers first, then the anonymiser through them."""
    clip, action = m.randn(m.batch, 3, *size.clip), torch.randint(size.classes, (m.batch,), device=m.device)
    attributes = torch.randint(2, (m.batch, 5), device=m.device).float()
    networks = Anonymiser(size), Recogniser(size, size.classes), Recogniser(size, 5)
    (anonymiser, draw), (first, see), (second, spy) = (m.made(n) for n in networks)
    optimizers = [adamw(n) for n in (anonymiser, first, second)]
    losses = [lambda o: F.cross_entropy(o, action), lambda o: F.binary_cross_entropy_with_logits(o, attributes)]

    def run():
        with m.autocast():
            video, keep, decisions = draw(clip)
        for network, look, optimizer, loss in zip((first, second), (see, spy), optimizers[1:], losses):
            with m.autocast():
                value = loss(look(video.detach(), keep.detach()))
            value.backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            network.requires_grad_(False)
        with m.autocast():
            shares = [d.reshape(m.batch, size.slots, -1).mean(2) for d in decisions]
            ratio = sum(((share - r) ** 2).mean() for share, r in zip(shares, size.keep)) / len(shares)
            value = ratio + 0.5 * losses[0](see(video, keep)) - 0.5 * losses[1](spy(video, keep))
        value.backward()
        optimizers[0].step()
        optimizers[0].zero_grad(set_to_none=True)
        for network in (first, second):
            network.requires_grad_(True)

    return m.median(run) / m.batch


def tiny_step(m):
    return train_step(m, TINY)


def anonymise(m):
    network = Anonymiser(FULL).to(m.device).eval()
    run = m.wrapped(network.anonymise)
    clip = m.randn(m.batch, 3, 16, 112, 112)
    with torch.inference_mode(), m.autocast():
        return m.median(lambda: run(clip)) / m.batch


def recogniser_step(m):
    network, look = m.made(Recogniser(FULL, FULL.classes))
    optimizer, clip = adamw(network), m.randn(m.batch, 3, 16, 112, 112)
    action, keep = torch.randint(51, (m.batch,), device=m.device), (torch.rand(m.batch, TOKENS, device=m.device) < 0.343).float()

    def run():
        with m.autocast():
            loss = F.cross_entropy(look(clip, keep), action)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return m.median(run) / m.batch


STEPS = (train_step, anonymise, recogniser_step, tiny_step)


def steps(m, only):
    for step in STEPS[:3]:
        if only and only != step.__name__:
            continue
        if m.device == "cuda":
            torch.cuda.reset_peak_memory_stats()
        seconds = step(m)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        if m.device == "cuda":
            peak = torch.cuda.max_memory_allocated() / 2**20
        print(f"{step.__name__} {seconds:.5f} s/clip, peak RSS {peak:.0f} MiB", flush=True)


# ---- ops, named as the cases of tests/cases are at their real sizes


def op_list(m):
    """Name -> (function, inputs); the activations come in the precision asked for."""
    store = torch.bfloat16 if m.bf16 else torch.float32
    rows, hidden = 8 * TOKENS, 4 * WIDTH

    def values(*shape):
        return m.randn(*shape, dtype=store, requires_grad=True)

    keep = (torch.rand(8, TOKENS, device=m.device) < 0.5).float().requires_grad_()
    norm, up, down = nn.LayerNorm(WIDTH, eps=1e-6), nn.Linear(WIDTH, hidden), nn.Linear(hidden, WIDTH)
    qkv, proj, patch = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH), (8, 8, 2, 7, 16, 7, 16)
    for layer in (norm, up, down, qkv, proj):
        layer.to(m.device, store)

    def heads(x):
        return x.reshape(8, -1, 3, HEADS, 64).permute(2, 0, 3, 1, 4).unbind(0)

    chosen = torch.randperm(rows, device=m.device)[:2176]
    return {
        "attention B 8 N 392 H 6 D 64 smoothing 1e-06 kept 0.5": (lambda x, k: attend(*heads(x), k), [values(8, TOKENS, 3 * WIDTH), keep]),
        "attention B 8 N 128 H 6 D 64 smoothing 0 plain": (lambda x: F.scaled_dot_product_attention(*heads(x)), [values(8, 128, 3 * WIDTH)]),
        "gelu 4816896 spread 1": (F.gelu, [values(rows * hidden)]),
        "add_row B 8 N 392 E 384": (lambda x, r: x + r, [values(8, TOKENS, WIDTH), values(1, TOKENS, WIDTH)]),
        "linear rows 3136 I 384 O 1152 bias": (qkv, [values(rows, WIDTH)]),
        "linear rows 3136 I 384 O 384 bias residual": (lambda x, r: proj(x) + r, [values(rows, WIDTH), values(rows, WIDTH)]),
        "mlp rows 3136 E 384 M 1536 residual": (lambda x, r: down(F.gelu(up(x))) + r, [values(rows, WIDTH), values(rows, WIDTH)]),
        "layer_norm rows 3136 E 384 mean 0 spread 1": (norm, [values(rows, WIDTH)]),
        "gather 2176 of 3136 width 384": (lambda x: x[chosen], [values(rows, WIDTH)]),
        "clip_to_tubelets B 8 C 3 16x112x112 by 2x16x16 channels first": (
            lambda x: x.reshape(8, 3, *patch[1:]).permute(0, 2, 4, 6, 1, 3, 5, 7).reshape(8, TOKENS, -1),
            [m.randn(8, 3, 16, 112, 112, requires_grad=True)]),
    }


def ops(m):
    for name, (run, inputs) in op_list(m).items():
        def forward():
            with torch.inference_mode():
                run(*inputs)

        upstream = None

        def both():
            nonlocal upstream
            out = run(*inputs)
            upstream = torch.ones_like(out) if upstream is None else upstream
            out.backward(upstream)
            for x in inputs:
                x.grad = None

        for label, f in (("forward", forward), ("forward + backward", both)):
            print(f"{name}\t{label}\t{m.median(f, 0.5) * 1e3:.4f}", flush=True)


# ---- the lines of compare.py that are pieces of the model: the pass to time; 8 clips


def attention_inputs(m):
    """Query, key and value as their product likes them best."""
    store = torch.bfloat16 if m.bf16 else torch.float32
    q, k, v = (m.randn(8, HEADS, TOKENS, 64, dtype=store, requires_grad=True) for _ in range(3))
    return q, k, v, (torch.rand(8, TOKENS, device=m.device) < 0.5).float().requires_grad_()


def attention_forward(m):
    inputs, run = attention_inputs(m), m.wrapped(attend)

    def forward():
        with torch.inference_mode():
            run(*inputs)

    return forward


def both_ways(m, run, *inputs, weights=()):
    """Forward and backward from a gradient that lies ready; gradients are dropped as an optimizer would."""
    run, upstream = m.wrapped(run), None

    def both():
        nonlocal upstream
        out = run(*inputs)
        upstream = torch.randn_like(out) if upstream is None else upstream
        out.backward(upstream)
        for x in (*inputs, *weights):
            x.grad = None

    return both


def attention(m):
    return both_ways(m, attend, *attention_inputs(m))


def tubelet_embedding(m):
    patch = nn.Conv3d(3, WIDTH, FULL.patch, FULL.patch).to(m.device)
    clip = m.randn(8, 3, *FULL.clip, requires_grad=True)
    return both_ways(m, lambda x: patch(x).flatten(2).mT, clip, weights=list(patch.parameters()))


def layer_norm(m):
    norm = nn.LayerNorm(WIDTH, eps=1e-6).to(m.device)
    return both_ways(m, norm, m.randn(8 * TOKENS, WIDTH, requires_grad=True), weights=list(norm.parameters()))


def gelu(m):
    return both_ways(m, lambda x: F.gelu(x), m.randn(8 * TOKENS, 4 * WIDTH, requires_grad=True))


def adamw_update(m):
    weights = nn.Parameter(m.randn(22_000_000))
    weights.grad = m.randn(22_000_000)
    return torch.optim.AdamW([weights], lr=1e-5, weight_decay=0.05, fused=True).step


def selection(m):
    scores, x = m.randn(8, TOKENS, 2), m.randn(8, TOKENS, WIDTH)
    first = 49 * torch.arange(SLOTS, device=m.device)[:, None]

    def select(scores, x):
        best = scores[..., 0].reshape(8, SLOTS, 49).topk(34).indices
        return x.gather(1, (best + first).flatten(1)[..., None].expand(-1, -1, WIDTH))

    run = m.wrapped(select)

    def forward():
        with torch.inference_mode():
            run(scores, x)

    return forward


def gather(m):
    rows = torch.randperm(8 * TOKENS, device=m.device)[: 8 * SLOTS * 34]
    return both_ways(m, lambda x: x.index_select(0, rows), m.randn(8 * TOKENS, WIDTH, requires_grad=True))


PIECES = {"adamw": adamw_update} | {
    piece.__name__: piece
    for piece in (attention_forward, attention, tubelet_embedding, layer_norm, gelu, selection, gather)
}


def line(m, name):
    steps_by_name = {step.__name__: step for step in STEPS}
    if name in steps_by_name:
        value, unit = steps_by_name[name](m), "s/clip"
    else:
        value, unit = 1e3 * m.median(PIECES[name](m)), "ms"
    print(f"{name} {value:.6f} {unit} {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["line", "steps", "ops"])
    parser.add_argument("name", nargs="?", choices=[s.__name__ for s in STEPS] + list(PIECES), help="of the line")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--tf32", action="store_true", help="products of f32 in tf32, on cuda")
    parser.add_argument("--bf16", action="store_true")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=1, help="to measure for, and five times at least")
    parser.add_argument("--only", help="one step: train_step, anonymise or recogniser_step")
    a = parser.parse_args()
    machine = Machine(a)
    if a.what == "line":
        if a.name is None:
            parser.error("name a line")
        line(machine, a.name)
    elif a.what == "steps":
        steps(machine, a.only)
    else:
        ops(machine)


if __name__ == "__main__":
    main()
