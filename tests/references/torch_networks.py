"""The five networks in PyTorch, from their published definitions; needs `torch==2.13.0`.

Encoders and DeepLabV3 have torchvision's layer names, so that `load_pretrained` reads their state
dictionaries; other layers have the names of `balanced_jax.models`. Images are [b, c, h, w].
"""

import itertools

import torch  # pyright: ignore[reportMissingImports]
from torch import nn  # pyright: ignore[reportMissingImports]
from torch.nn import functional as F  # pyright: ignore[reportMissingImports]


def resize(x, size):
    return F.interpolate(x, size=tuple(size), mode="bilinear", align_corners=False)


def padded(x, multiple):
    h, w = x.shape[2:]
    return F.pad(x, (0, -w % multiple, 0, -h % multiple))


def unit(before, after, kernel=3, stride=1, dilation=1):
    padding = dilation * (kernel // 2)
    return nn.Sequential(
        nn.Conv2d(before, after, kernel, stride, padding, dilation, bias=False),
        nn.BatchNorm2d(after),
        nn.ReLU(),
    )


class UNet(nn.Module):
    """U-Net of Ronneberger et al. 2015, figure 1, with padded convolutions and BatchNorm."""

    def __init__(self, classes, channels, width, depth):
        super().__init__()
        widths = [width * 2**level for level in range(depth + 1)]
        down = [channels, *(w for w in widths for _ in (0, 1))]
        up = [(b, w) for w in reversed(widths[:-1]) for b in (2 * w, w)]
        # In the order of the forward pass.
        self.units = nn.ModuleList(unit(b, w) for b, w in [*itertools.pairwise(down), *up])
        self.larger = nn.ModuleList(nn.ConvTranspose2d(2 * w, w, 2, 2) for w in reversed(widths[:-1]))
        self.logits = nn.Conv2d(width, classes, 1)

    def forward(self, images):
        depth, units, skips = len(self.larger), iter(self.units), []
        x = padded(images, 2**depth)
        for _ in range(depth):
            x = self.twice(units, x)
            skips.append(x)
            x = F.max_pool2d(x, 2)
        x = self.twice(units, x)
        for larger in self.larger:
            x = self.twice(units, torch.cat([skips.pop(), larger(x)], 1))
        return self.logits(x)[..., : images.shape[2], : images.shape[3]]

    @staticmethod
    def twice(units, x):
        x = next(units)(x)
        return next(units)(x)


def vgg16_features(channels, width, norms):
    """Return torchvision's `vgg16().features` or, with norms, `vgg16_bn().features`, biases included."""
    layers, before = [], channels
    for stage, units in zip((1, 2, 4, 8, 8), (2, 2, 3, 3, 3), strict=True):
        for _ in range(units):
            layers += [nn.Conv2d(before, width * stage, 3, padding=1)]
            layers += [nn.BatchNorm2d(width * stage)] if norms else []
            layers += [nn.ReLU()]
            before = width * stage
        layers += [nn.MaxPool2d(2, 2, return_indices=True)]
    return nn.Sequential(*layers)


def vgg16_stages(features, x):
    """Return the pooled values and the indices of the maxima of each stage."""
    stages = []
    for layer in features:
        x = layer(x)
        if isinstance(layer, nn.MaxPool2d):
            stages.append(x)
            x = x[0]
    return stages


class FCN8s(nn.Module):
    """FCN-8s of Long et al. 2015, figure 3, with the padding and the last upsampling of `balanced_jax`."""

    def __init__(self, classes, channels, width, norms):
        super().__init__()
        self.features = vgg16_features(channels, width, norms)
        # torchvision's names of the two fully connected layers, here as convolutions.
        self.classifier = nn.ModuleDict(
            {"0": nn.Conv2d(8 * width, 64 * width, 7, padding=3), "3": nn.Conv2d(64 * width, 64 * width, 1)}
        )
        self.logits32 = nn.Conv2d(64 * width, classes, 1)
        self.logits16 = nn.Conv2d(8 * width, classes, 1)
        self.logits8 = nn.Conv2d(4 * width, classes, 1)
        self.upsample32 = nn.ConvTranspose2d(classes, classes, 4, 2, 1, bias=False)
        self.upsample16 = nn.ConvTranspose2d(classes, classes, 4, 2, 1, bias=False)

    def forward(self, images):
        x = padded(images, 32)
        _, _, pool3, pool4, pool5 = (values for values, _ in vgg16_stages(self.features, x))
        y = F.relu(self.classifier["3"](F.relu(self.classifier["0"](pool5))))
        y = self.upsample32(self.logits32(y)) + self.logits16(pool4)
        y = self.upsample16(y) + self.logits8(pool3)
        return resize(y, x.shape[2:])[..., : images.shape[2], : images.shape[3]]


class SegNet(nn.Module):
    """SegNet of Badrinarayanan et al. 2017, figure 2."""

    def __init__(self, classes, channels, width):
        super().__init__()
        self.features = vgg16_features(channels, width, norms=True)
        w = width
        for name, sizes in {
            "decoder5": (8, 8, 8, 8),
            "decoder4": (8, 8, 8, 4),
            "decoder3": (4, 4, 4, 2),
            "decoder2": (2, 2, 1),
            "decoder1": (1, 1),
        }.items():
            units = [unit(w * before, w * after) for before, after in itertools.pairwise(sizes)]
            self.add_module(name, nn.Sequential(*units))
        self.logits = nn.Conv2d(width, classes, 3, padding=1)

    def forward(self, images):
        stages = vgg16_stages(self.features, padded(images, 32))
        x = stages[-1][0]
        for i in (5, 4, 3, 2, 1):
            x = getattr(self, f"decoder{i}")(F.max_unpool2d(x, stages[i - 1][1], [2, 2]))
        return self.logits(x)[..., : images.shape[2], : images.shape[3]]


class Bottleneck(nn.Module):
    """torchvision's bottleneck, with the stride in the 3x3 convolution."""

    def __init__(self, before, features, stride, dilation):
        super().__init__()
        self.conv1 = nn.Conv2d(before, features, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(features)
        self.conv2 = nn.Conv2d(features, features, 3, stride, dilation, dilation, bias=False)
        self.bn2 = nn.BatchNorm2d(features)
        self.conv3 = nn.Conv2d(features, 4 * features, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * features)
        self.downsample = None
        if stride != 1 or before != 4 * features:
            self.downsample = nn.Sequential(
                nn.Conv2d(before, 4 * features, 1, stride, bias=False), nn.BatchNorm2d(4 * features)
            )

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        y = F.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet(nn.Module):
    """torchvision's `resnet50(replace_stride_with_dilation=...)` without its classifier."""

    def __init__(self, channels, width, blocks, dilate):
        super().__init__()
        self.before, self.dilation = width, 1
        self.conv1 = nn.Conv2d(channels, width, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.layer1 = self.layer(width, blocks[0], 1, False)
        self.layer2 = self.layer(2 * width, blocks[1], 2, dilate[0])
        self.layer3 = self.layer(4 * width, blocks[2], 2, dilate[1])
        self.layer4 = self.layer(8 * width, blocks[3], 2, dilate[2])

    def layer(self, features, blocks, stride, dilate):
        dilation_before = self.dilation
        if dilate:
            self.dilation, stride = self.dilation * stride, 1
        layers = [Bottleneck(self.before, features, stride, dilation_before)]
        self.before = 4 * features
        layers += [Bottleneck(self.before, features, 1, self.dilation) for _ in range(1, blocks)]
        return nn.Sequential(*layers)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        stages = []
        for layer in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = layer(x)
            stages.append(x)
        return stages


def dilated(output_stride):
    return {8: (False, True, True), 16: (False, False, True)}[output_stride]


def fcn_head(before, classes):
    return nn.Sequential(
        nn.Conv2d(before, before // 4, 3, padding=1, bias=False),
        nn.BatchNorm2d(before // 4),
        nn.ReLU(),
        nn.Dropout(0.0),
        nn.Conv2d(before // 4, classes, 1),
    )


class ASPPPooling(nn.Sequential):
    def __init__(self, before, after):
        super().__init__(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(before, after, 1, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU(),
        )

    def forward(self, input):
        return resize(super().forward(input), input.shape[2:])


class ASPP(nn.Module):
    def __init__(self, before, rates, after):
        super().__init__()
        atrous = [unit(before, after, dilation=rate) for rate in rates]
        self.convs = nn.ModuleList([unit(before, after, 1), *atrous, ASPPPooling(before, after)])
        self.project = unit(5 * after, after, 1)

    def forward(self, x):
        return self.project(torch.cat([conv(x) for conv in self.convs], 1))


class DeepLabV3(nn.Module):
    """torchvision's `deeplabv3_resnet50` with its auxiliary head, dropout off."""

    def __init__(self, classes, channels, width, blocks, output_stride):
        super().__init__()
        self.backbone = ResNet(channels, width, blocks, dilated(output_stride))
        rate, after = 96 // output_stride, 4 * width
        self.classifier = nn.Sequential(
            ASPP(32 * width, (rate, 2 * rate, 3 * rate), after),
            nn.Conv2d(after, after, 3, padding=1, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU(),
            nn.Conv2d(after, classes, 1),
        )
        self.aux_classifier = fcn_head(16 * width, classes)

    def forward(self, images):
        *_, middle, x = self.backbone(images)
        self.auxiliary = resize(self.aux_classifier(middle), images.shape[2:])
        return resize(self.classifier(x), images.shape[2:])


class DeepLabV3Plus(nn.Module):
    """DeepLabV3+ of Chen et al. 2018, figure 2, with 48 channels of the first stage at width 64."""

    def __init__(self, classes, channels, width, blocks, output_stride):
        super().__init__()
        self.backbone = ResNet(channels, width, blocks, dilated(output_stride))
        rate, after = 96 // output_stride, 4 * width
        self.pyramid = ASPP(32 * width, (rate, 2 * rate, 3 * rate), after)
        self.fine = unit(4 * width, 3 * width // 4, 1)
        self.refine = unit(after + 3 * width // 4, after)
        self.head = unit(after, after)
        self.logits = nn.Conv2d(after, classes, 1)

    def forward(self, images):
        fine, _, _, x = self.backbone(images)
        fine = self.fine(fine)
        x = torch.cat([resize(self.pyramid(x), fine.shape[2:]), fine], 1)
        return resize(self.logits(self.head(self.refine(x))), images.shape[2:])


class PSPNet(nn.Module):
    """PSPNet of Zhao et al. 2017, figure 3, as in the authors' code, dropout off."""

    def __init__(self, classes, channels, width, blocks, output_stride):
        super().__init__()
        self.backbone = ResNet(channels, width, blocks, dilated(output_stride))
        self.levels = nn.ModuleDict({str(bins): unit(32 * width, 8 * width, 1) for bins in (1, 2, 3, 6)})
        self.head = unit(64 * width, 8 * width)
        self.logits = nn.Conv2d(8 * width, classes, 1)
        self.aux_classifier = fcn_head(16 * width, classes)

    def forward(self, images):
        *_, middle, x = self.backbone(images)
        self.auxiliary = resize(self.aux_classifier(middle), images.shape[2:])
        means = (level(F.adaptive_avg_pool2d(x, int(bins))) for bins, level in self.levels.items())
        x = torch.cat([x, *(resize(mean, x.shape[2:]) for mean in means)], 1)
        return resize(self.logits(self.head(x)), images.shape[2:])
