"""A model of dvae in PyTorch, beside its weights: `dvae export RUN -o model.safetensors --layout pytorch` writes both.

    from model import load, save
    model = load("model.safetensors")
    clean = model(x)                    # the mean of p(x | z) at the posterior's mean
    means, log_variances = model.encode(x)
    clean = model.decode(means)
    save(model, "tuned.safetensors")    # for `dvae import`

Rows are what the model sees, [batch, …] as `event` says: scaled by `prepared.scaler` of the metadata if it is there, with 0 for what
was not observed, and, if the model is shown a mask, followed on axis 1 by as many numbers that are 1 there. A module's parameters
have the names of the file. Needs torch, safetensors and Python 3.11.
"""

import json
import struct
import tomllib

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import nn

ACTIVATIONS = {"identity": lambda x: x, "relu": F.relu, "softplus": F.softplus, "silu": F.silu}


class Namespace(nn.Module):
    """A module with the given parts."""

    def __init__(self, **parts):
        super().__init__()
        for name, part in parts.items():
            setattr(self, name, part)


def load(path):
    """The model of a file, with its weights."""
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        model = Autoencoder(json.loads(file.read(length))["__metadata__"]["settings"])
    weights = load_file(path)
    for name, weight in weights.items():
        if name.startswith("levels.0.prior."):
            # It decides samples alone, and is kept for `save`.
            attach(model, name.split("."), weight)
    model.load_state_dict(weights)
    return model.eval()


def save(model, path):
    """Writes a model's weights, with its settings, as `load` and `dvae import` read them."""
    weights = {name: weight.contiguous() for name, weight in model.state_dict().items()}
    save_file(weights, path, metadata={"settings": model.settings})


def attach(module, path, weight):
    for name in path[:-1]:
        if name not in dict(module.named_children()):
            module.add_module(name, nn.Module())
        module = module.get_submodule(name)
    module.register_buffer(path[-1], torch.zeros_like(weight))


def conv(inputs, outputs, stride=1, kernel=3):
    return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2)


def halved(sides, times):
    found = [sides]
    for _ in range(times):
        found.append([-(-side // 2) for side in found[-1]])
    return found


def doubled(x, sides):
    return F.interpolate(x, scale_factor=2, mode="nearest")[:, :, : sides[0], : sides[1]]


class Mlp(nn.Module):
    def __init__(self, sizes, network):
        super().__init__()
        widths = network["hidden"]
        self.activation = ACTIVATIONS[network["activation"]]
        self.output = sizes["output"]
        inputs = sizes.get("inputs") or torch.Size(sizes["input"]).numel()
        down, up = [inputs, *widths], [sizes["latent"], *reversed(widths)]
        self.encoder = nn.ModuleList(map(nn.Linear, down, down[1:]))
        self.decoder = nn.ModuleList(map(nn.Linear, up, up[1:]))
        self.last = nn.Linear(up[-1], torch.Size(self.output).numel())
        self.levels = [(down[-1], 0, None)]

    def through(self, layers, x):
        for layer in layers:
            x = self.activation(layer(x))
        return x

    def features(self, x):
        return [self.through(self.encoder, x.flatten(1))]

    def descend(self, level, context, latent, below):
        return latent

    def outputs(self, z):
        return self.last(self.through(self.decoder, z)).unflatten(1, self.output)


class Table(nn.Module):
    def __init__(self, sizes, network):
        super().__init__()
        classes = sizes["classes"]
        self.columns = [c for c, count in enumerate(classes) for _ in range(max(count, 1))]
        places = [k if count else None for count in classes for k in range(max(count, 1))]
        self.is_number = torch.tensor([float(k is None) for k in places])
        self.place = torch.tensor([float(k or 0) for k in places])
        self.cells = Namespace(missing=nn.Parameter(torch.zeros(len(places))))
        self.mlp = Mlp({**sizes, "inputs": len(places) + len(classes)}, network)
        self.levels = self.mlp.levels

    def features(self, x):
        values, mask = x.chunk(2, 1)
        seen, hidden = values[:, self.columns], mask[:, self.columns]
        one_hot = (seen == self.place).float()
        seen = seen * self.is_number + one_hot * (1 - self.is_number)
        cells = seen * (1 - hidden) + self.cells.missing * hidden
        return self.mlp.features(torch.cat([cells, mask], 1))

    def descend(self, level, context, latent, below):
        return latent

    def outputs(self, z):
        return self.mlp.outputs(z)


class Conv(nn.Module):
    def __init__(self, sizes, network):
        super().__init__()
        channels = network["channels"]
        self.activation = ACTIVATIONS[network["activation"]]
        self.sides = halved(sizes["input"][1:], len(channels))
        down = [sizes["input"][0], *channels]
        up = [sizes["output"][0], *channels]
        self.deepest = [channels[-1], *self.sides[-1]]
        features = torch.Size(self.deepest).numel()
        self.encoder = nn.ModuleList(conv(a, b, 2) for a, b in zip(down, down[1:]))
        self.input = nn.Linear(sizes["latent"], features)
        self.decoder = nn.ModuleList(
            nn.ConvTranspose2d(b, a, 4, 2, 1) for a, b in reversed(list(zip(up, up[1:])))
        )
        self.levels = [(features, 0, None)]

    def features(self, x):
        for layer in self.encoder:
            x = self.activation(layer(x))
        return [x.flatten(1)]

    def descend(self, level, context, latent, below):
        return latent

    def outputs(self, z):
        x = self.activation(self.input(z)).unflatten(1, self.deepest)
        for at, layer in enumerate(self.decoder):
            height, width = self.sides[-2 - at]
            x = layer(x)[:, :, :height, :width]
            x = x if at + 1 == len(self.decoder) else self.activation(x)
        return x


def group_norm(channels, most, area):
    """As many groups as there may be with 8 numbers each at least, or one."""
    fits = lambda n: channels % n == 0 and channels // n * area >= 8
    groups = next((n for n in range(min(most, channels), 1, -1) if fits(n)), 1)
    return nn.GroupNorm(groups, channels) if channels * area > 1 else Unchanged(channels)


class Unchanged(nn.Module):
    """A normalization of single numbers, which changes nothing."""

    def __init__(self, channels):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x):
        return x


class ResNet(nn.Module):
    def __init__(self, sizes, network):
        super().__init__()
        channels, most = network["channels"], network["groups"]
        self.activation = ACTIVATIONS[network["activation"]]
        self.sides = halved(sizes["input"][1:], len(channels))
        area = [height * width for height, width in self.sides]

        def stage(inputs, outputs, stride, area):
            def half():
                return Namespace(norm=group_norm(outputs, most, area), conv=conv(outputs, outputs))

            blocks = [Namespace(first=half(), second=half()) for _ in range(network["blocks"])]
            return Namespace(conv=conv(inputs, outputs, stride), blocks=nn.ModuleList(blocks))

        before = [sizes["input"][0], *channels]
        down = [stage(before[i], channels[i], 2, area[i + 1]) for i in range(len(channels))]
        up = [stage(channels[i], channels[max(i - 1, 0)], 1, area[i]) for i in reversed(range(len(channels)))]
        self.deepest = [channels[-1], *self.sides[-1]]
        features = torch.Size(self.deepest).numel()
        self.encoder = Namespace(down=nn.ModuleList(down), norm=group_norm(channels[-1], most, area[-1]))
        self.decoder = Namespace(
            input=nn.Linear(sizes["latent"], features),
            up=nn.ModuleList(up),
            norm=group_norm(channels[0], most, area[0]),
            last=conv(channels[0], sizes["output"][0]),
        )
        self.levels = [(features, 0, None)]

    def through(self, blocks, x):
        for block in blocks:
            inner = x
            for half in (block.first, block.second):
                inner = half.conv(self.activation(half.norm(inner)))
            x = x + inner
        return x

    def features(self, x):
        for stage in self.encoder.down:
            x = self.through(stage.blocks, stage.conv(x))
        return [self.activation(self.encoder.norm(x)).flatten(1)]

    def descend(self, level, context, latent, below):
        return latent

    def outputs(self, z):
        x = self.decoder.input(z).unflatten(1, self.deepest)
        for at, stage in enumerate(self.decoder.up):
            x = self.through(stage.blocks, stage.conv(doubled(x, self.sides[-2 - at])))
        return self.decoder.last(self.activation(self.decoder.norm(x)))


class Ladder(nn.Module):
    def __init__(self, sizes, network):
        super().__init__()
        channels, lowest = network["channels"], network["deterministic"]
        self.activation = ACTIVATIONS[network["activation"]]
        self.sides = halved(sizes["input"][1:], len(channels))
        latent, top = sizes["latent"], len(channels) - 1

        def blocks(width):
            return nn.ModuleList(
                Namespace(first=conv(width, width), second=conv(width, width))
                for _ in range(network["blocks"])
            )

        before = [sizes["input"][0], *channels]
        self.up = nn.ModuleList(
            Namespace(conv=conv(before[i], width, 2 if i else 1), blocks=blocks(width))
            for i, width in enumerate(channels)
        )
        steps = []
        for level in range(top, lowest - 1, -1):
            step = Namespace(merge=conv(latent, channels[level]), blocks=blocks(channels[level]))
            if level > lowest:
                step.down = conv(channels[level], channels[level - 1], kernel=1)
            steps.append(step)
        self.steps = nn.ModuleList(steps)
        self.finish = nn.ModuleList(
            Namespace(down=conv(channels[level + 1], channels[level], kernel=1), blocks=blocks(channels[level]))
            for level in range(lowest - 1, -1, -1)
        )
        self.last = conv(channels[0], sizes["output"][0])
        self.levels = [
            (channels[level], 0 if level == top else channels[level], self.sides[level])
            for level in range(top, lowest - 1, -1)
        ]

    def through(self, blocks, x):
        for block in blocks:
            x = x + block.second(self.activation(block.first(self.activation(x))))
        return x

    def features(self, x):
        found = []
        for rung in self.up:
            x = self.through(rung.blocks, rung.conv(x))
            found.append(self.activation(x))
        return found[len(self.finish) :][::-1]

    def descend(self, level, context, latent, below):
        step = self.steps[level]
        x = step.merge(latent) if context is None else step.merge(latent) + context
        x = self.through(step.blocks, x)
        return x if below is None else step.down(doubled(self.activation(x), below.shape[2:]))

    def outputs(self, x):
        for at, level in enumerate(self.finish):
            sides = self.sides[len(self.finish) - 1 - at]
            x = self.through(level.blocks, level.down(doubled(self.activation(x), sides)))
        return self.last(self.activation(x))


NETWORKS = {"mlp": Mlp, "conv": Conv, "res-net": ResNet, "ladder": Ladder, "table": Table}


class NormalHead(nn.Module):
    """The mean and log-variance of a normal, linear in features at each place of a map or in a vector of them."""

    def __init__(self, features, latent):
        super().__init__()
        self.mean = nn.Linear(features, latent)
        self.log_variance = nn.Linear(features, latent)

    def forward(self, x):
        return tuple(layer(x.movedim(1, -1)).movedim(-1, 1) for layer in (self.mean, self.log_variance))


def soft_bound(x):
    return 16 * torch.sigmoid(x / 4) - 8


class Level(nn.Module):
    """The posterior of a level, and below the top its prior."""

    def __init__(self, features, context, latent, posterior, is_top):
        super().__init__()
        self.kind, self.latent, self.is_top = posterior["type"], latent, is_top
        features += context
        head = NormalHead(features, latent)
        if self.kind == "full-normal" and latent > 1:
            head.below = nn.Linear(features, latent * (latent - 1) // 2)
        elif self.kind == "planar":
            maps = nn.Linear(features, posterior["flows"] * (2 * latent + 1))
            head = Namespace(base=head, maps=maps)
        elif self.kind == "inverse-autoregressive":
            hidden, flows = posterior["hidden"], posterior["flows"]
            head = Namespace(base=head, flow=Autoregressive(features, latent, hidden, flows))
        self.posterior = head
        if not is_top:
            self.prior = NormalHead(context, latent)

    def forward(self, features, context):
        seen = features if context is None else torch.cat([features, context], 1)
        head = self.posterior if self.kind in ("diagonal-normal", "full-normal") else self.posterior.base
        mean, log_variance = head(seen)
        if self.kind == "planar":
            return planar(mean, self.posterior.maps(seen), self.latent), None
        if self.kind == "inverse-autoregressive":
            return self.posterior.flow(mean, seen), None
        if self.kind == "full-normal":
            return mean, None
        if self.is_top:
            return mean, log_variance
        prior, prior_log_variance = self.prior(context)
        prior_log_variance = soft_bound(prior_log_variance)
        mean = prior + mean * (prior_log_variance / 2).exp()
        return mean, prior_log_variance + soft_bound(log_variance)


def planar(z, maps, latent):
    for u, w, b in (m.split([latent, latent, 1], 1) for m in maps.split(2 * latent + 1, 1)):
        along = (w * u).sum(1, keepdim=True)
        step = (F.softplus(along) - 1 - along) / (w * w).sum(1, keepdim=True).clamp_min(1e-12)
        z = z + (u + w * step) * torch.tanh((w * z).sum(1, keepdim=True) + b)
    return z


class Autoregressive(nn.Module):
    def __init__(self, features, latent, hidden, flows):
        super().__init__()
        self.context = nn.ModuleList(nn.Linear(features, hidden) for _ in range(flows))
        zeros = lambda *shape: nn.Parameter(torch.zeros(shape))
        self.steps = nn.ModuleList(
            Namespace(
                hidden=zeros(latent, hidden), hidden_bias=zeros(hidden),
                mean=zeros(hidden, latent), mean_bias=zeros(latent),
                gate=zeros(hidden, latent), gate_bias=zeros(latent),
            )
            for _ in range(flows)
        )
        degree = torch.arange(hidden) % latent
        place = torch.arange(latent)
        self.register_buffer("into", (place[:, None] < degree).float(), persistent=False)
        self.register_buffer("out_of", (place >= degree[:, None]).float(), persistent=False)

    def forward(self, z, features):
        for step, context in zip(self.steps, self.context):
            hidden = F.relu(z @ (step.hidden * self.into) + step.hidden_bias + context(features))
            mean = hidden @ (step.mean * self.out_of) + step.mean_bias
            gate = hidden @ (step.gate * self.out_of) + step.gate_bias
            z = (mean + torch.sigmoid(gate + 1) * (z - mean)).flip(1)
        return z


# The numbers that a decoder gives for each entry.
OUTPUTS = {
    "bernoulli": 1, "continuous-bernoulli": 1, "normal": 1, "shared-normal": 1, "optimal-normal": 1,
    "poisson-gaussian": 1, "laplace": 1, "poisson": 1, "learned-normal": 2, "learned-laplace": 2,
    "student-t": 3, "ordinal": 2, "negative-binomial": 2, "zero-inflated-negative-binomial": 3,
}
# Likelihoods whose mean is the first of them.
LOCATIONS = {
    "normal", "shared-normal", "optimal-normal", "poisson-gaussian", "laplace", "learned-normal", "learned-laplace", "student-t",
}


def outputs_of(likelihood, columns):
    kind = likelihood["type"]
    if kind == "columns":
        return sum(outputs_of(group["likelihood"], group["columns"]) for group in likelihood["groups"])
    if kind in ("proportions", "self-masking"):
        return outputs_of(likelihood["of"], columns)
    if kind == "categorical":
        return columns * likelihood["classes"]
    if kind == "discretized-logistic":
        components = likelihood["components"]
        return columns * (2 if components == 1 else 3 * components)
    return columns * OUTPUTS[kind]


def shared_of(likelihood, columns):
    kind = likelihood["type"]
    if kind == "columns":
        return sum(shared_of(group["likelihood"], group["columns"]) for group in likelihood["groups"])
    if kind == "self-masking":
        inner = likelihood["of"]
        own = inner["classes"] - 1 if inner["type"] in ("categorical", "ordinal") else 1
        return shared_of(inner, columns) + columns * (1 + own)
    return {"shared-normal": 1, "ordinal": columns * (likelihood.get("classes", 1) - 1)}.get(kind, 0)


def classes_of(likelihood, columns):
    kind = likelihood["type"]
    if kind == "columns":
        return [n for group in likelihood["groups"] for n in classes_of(group["likelihood"], group["columns"])]
    if kind in ("proportions", "self-masking"):
        return classes_of(likelihood["of"], columns)
    return [likelihood["classes"] if kind in ("categorical", "ordinal") else 0] * columns


def mean_of(likelihood, outputs, columns, shared, rows):
    """The mean of p(x | z) from the decoder's outputs; of classes, the most probable one."""
    kind = likelihood["type"]
    part = lambda at: outputs[:, at * columns : (at + 1) * columns]
    if kind == "bernoulli":
        return torch.sigmoid(outputs)
    if kind == "continuous-bernoulli":
        near = outputs.abs() < 0.5
        small = outputs.clamp(-0.5, 0.5)
        series = ((small**2 / 30240 - 1 / 720) * small**2 + 1 / 12) * small + 0.5
        far = torch.where(near, 1.0, outputs)
        return torch.where(near, series, 1 / (1 - torch.exp(-far.clamp(-80, 80))) - 1 / far)
    if kind in ("poisson", "negative-binomial"):
        return F.softplus(part(0))
    if kind == "zero-inflated-negative-binomial":
        return F.softplus(part(0)) * torch.sigmoid(-part(2))
    if kind == "proportions":
        shares = part(0).flatten(1).softmax(1)
        total = likelihood["total"] if rows is None else rows[:, :columns].flatten(1).sum(1, keepdim=True).clamp_min(1e-6)
        mean = (shares * total).view_as(part(0))
        return mean * torch.sigmoid(-part(2)) if likelihood["of"]["type"].startswith("zero") else mean
    if kind == "self-masking":
        return mean_of(likelihood["of"], outputs, columns, shared, rows)
    if kind == "categorical":
        return outputs.unflatten(1, [likelihood["classes"], columns]).argmax(1).to(outputs)
    if kind == "ordinal":
        return ordinal_class(likelihood["classes"], part(0), part(1), shared[: columns * (likelihood["classes"] - 1)])
    if kind == "discretized-logistic":
        return discretized_mean(likelihood, outputs, columns)
    if kind == "columns":
        means, start, used, place = [], 0, 0, 0
        for group in likelihood["groups"]:
            law, count = group["likelihood"], group["columns"]
            width, weights = outputs_of(law, count), shared_of(law, count)
            own = None if shared is None else shared[used : used + weights]
            seen = None if rows is None else rows[:, place : place + count]
            means.append(mean_of(law, outputs[:, start : start + width], count, own, seen))
            start, used, place = start + width, used + weights, place + count
        return torch.cat(means, 1)
    assert kind in LOCATIONS, kind
    return part(0)


def ordinal_class(classes, location, raw, weights):
    columns = location.shape[1]
    weights = weights.view(classes - 1, columns) * 10
    share = torch.arange(1, classes, dtype=torch.float64) / classes
    logit = (share / (1 - share)).log()
    thresholds = [weights[0] + logit[0]]
    for at in range(1, classes - 1):
        step = logit[at] - logit[at - 1] - 1e-3
        thresholds.append(thresholds[-1] + F.softplus(weights[at] + torch.expm1(step).log()) + 1e-3)
    precision = F.softplus(raw + 0.5413248546129181) + 1e-3
    above = torch.stack([(t - location) * precision for t in thresholds], 1).double()
    below = torch.cat([torch.zeros_like(above[:, :1]), torch.sigmoid(above), torch.ones_like(above[:, :1])], 1)
    return below.diff(dim=1).argmax(1).to(location)


def discretized_mean(likelihood, outputs, columns):
    k, levels = likelihood["components"], likelihood["levels"]
    groups = outputs.unflatten(1, [-1, k, columns])
    location, raw = groups[:, -2].double(), groups[:, -1].double()
    scale = F.softplus(raw) + likelihood["min_scale"]
    mean = torch.zeros_like(location)
    for level in range(1, levels):
        mean = mean + torch.sigmoid((location - (level - 0.5) / (levels - 1)) / scale)
    weights = groups[:, 0].double().softmax(1) if k > 1 else 1.0
    return (weights * mean / (levels - 1)).sum(1).clamp(0, 1).to(outputs)


class Autoencoder(nn.Module):
    """The model of the settings in a file's metadata, which are TOML, with weights of its own."""

    def __init__(self, settings):
        super().__init__()
        self.settings = settings
        settings = tomllib.loads(settings)
        model = settings["model"]
        self.event = settings["prepared"]["event"]
        columns, rest = self.event[0], self.event[1:]
        law = model["likelihood"]
        self.law, self.columns = law, columns
        self.logarithms = columns if model.get("log_input") else 0
        sizes = {
            "input": [columns * (2 if model["mask_input"] else 1), *rest],
            "output": [outputs_of(law, columns), *rest],
            "latent": model["latent"],
            "classes": classes_of(law, columns),
        }
        network = model["network"]
        self.network = NETWORKS[network["type"]](sizes, network)
        levels = self.network.levels
        self.levels = nn.ModuleList(
            Level(features, context, model["latent"], model["posterior"], at == 0)
            for at, (features, context, _) in enumerate(levels)
        )
        weights = shared_of(law, columns)
        self.likelihood = Namespace()
        if weights:
            self.likelihood.shared = nn.Parameter(torch.zeros(weights))

    def seen(self, x):
        if not self.logarithms:
            return x
        return torch.cat([x[:, : self.logarithms].clamp_min(0).log1p(), x[:, self.logarithms :]], 1)

    def posteriors(self, x):
        features = self.network.features(self.seen(x))
        found, context = [], None
        for at, level in enumerate(self.levels):
            found.append(level(features[at], context))
            below = features[at + 1] if at + 1 < len(features) else None
            context = self.network.descend(at, context, found[-1][0], below)
        return found, context

    def encode(self, x):
        """The mean and the log-variance of the posterior of each level, top first, at the means of the levels above."""
        found, _ = self.posteriors(x)
        return [mean for mean, _ in found], [log_variance for _, log_variance in found]

    def decode(self, latents, rows=None):
        """The mean of p(x | z) at latents of all levels; `rows` have the totals of those to be made, if the model needs totals."""
        context = None
        for at, latent in enumerate(latents):
            below = latents[at + 1] if at + 1 < len(latents) else None
            context = self.network.descend(at, context, latent, below)
        return self.mean(context, rows)

    def mean(self, context, rows):
        shared = getattr(self.likelihood, "shared", None)
        return mean_of(self.law, self.network.outputs(context), self.columns, shared, rows)

    def forward(self, x):
        return self.mean(self.posteriors(x)[1], x)
