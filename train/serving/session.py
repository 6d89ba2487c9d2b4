"""What the page shows and does, as plain functions of images and decision rules; no HTTP."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from train.data.facts import DataFacts
from train.errors import UserError
from train.inference.trained import checkpoint_marks
from train.measures.components import Components, find_components, match_components
from train.measures.cost_search import least_cost_rule
from train.measures.decision import class_map, decide
from train.measures.records import Costs, DecisionFigures, DecisionRule
from train.paths import AnyPath
from train.run.checkpoints import Choice
from train.run.decision import (
    Decision,
    decision_digest,
    mismatch,
    read_decision,
    remove_decision,
    write_decision,
)
from train.serving.handover import Handover, Verdict
from train.serving.layers import SIDE, image_tile, label_tile, prediction_tile
from train.serving.parts import KeptPart, Walks
from train.serving.uploads import Uploads

_RECENT = 4
"""Images that are kept decoded and decided."""
_MOST_COMPONENTS = 200
"""Components of an image that the page lists, the largest first."""


class Shown(NamedTuple):
    """An image of the page."""

    name: str
    image: np.ndarray
    """uint8 [h, w, c]."""
    probabilities: np.ndarray
    """Of each defect class, float32 [h, w, defects]."""
    label: np.ndarray | None
    """Class ids, uint8 [h, w]; None of an image that the person has dropped."""


@dataclass(frozen=True)
class ShownComponent:
    """A connected component in an image."""

    name: str
    """Of its class."""
    area: int
    """In pixels."""
    probability: float
    """Highest probability of the class in the component."""
    state: str
    """"found", "false alarm" or "missed"; "predicted" without a label."""
    too_small: int | None
    """Minimum area without which a missed component would be found; None of another."""
    top: int
    left: int
    height: int
    width: int


@dataclass(frozen=True)
class Description:
    """What the page says about an image under a rule."""

    name: str
    height: int
    width: int
    labeled: bool
    components: list[ShownComponent]
    """The missed first, then by area."""
    others: int
    """Number of the components that are not listed."""
    verdict: Verdict | None
    """What was said of the prediction."""
    handed: dict[str, int] | None
    """How often each verdict was given so far."""


@dataclass(frozen=True)
class Measures:
    """What the page says about all images under a rule."""

    figures: DecisionFigures
    """Of the validation part."""
    too_small: dict[str, int]
    """Missed components of each class that the minimum area hides, of the validation part."""
    walks: dict[str, Walks]
    """By part."""


@dataclass(frozen=True)
class Standing:
    """The rule that is in use."""

    decision: Decision | None
    """Of a person; None without one for this checkpoint and its data."""
    other: str | None
    """Why neither a decision nor the automatic choice is in use, in words; None if one of them is."""
    digest: str | None
    """Of decision.json; None without one."""


class Session:
    """The images of the page by address ("validation/3", "upload/0") and what is done with them."""

    def __init__(
        self,
        run_dir: AnyPath,
        checkpoint: Choice,
        marks: list[tuple[int, str | None]],
        step: int,
        facts: DataFacts,
        parts: Mapping[str, KeptPart],
        automatic: DecisionRule,
        uploads: Uploads,
        handover: Handover | None,
    ):
        """Begin.

        Args:
            run_dir: directory of the run or mean, where a decision is saved.
            checkpoint: that was chosen.
            marks: of the checkpoint, as `checkpoint_marks` has them.
            step: training steps that led to the checkpoint.
            facts: about the data.
            parts: by name; the validation part is among them.
            automatic: the automatic choice of a decision rule.
            uploads: images of the person.
            handover: folder of accepted predictions, if there is one.
        """
        self.run_dir, self.step, self.facts = run_dir, step, facts
        self._checkpoint: Choice = checkpoint
        self._marks = marks
        self.parts, self.automatic, self.uploads, self.handover = parts, automatic, uploads, handover
        self.defects = facts.classes[1:]
        # The tiles of an image are asked for one by one. A few images, because one may be large.
        self.shown = functools.lru_cache(maxsize=_RECENT)(self._shown)
        self._class_maps: dict[str, tuple[DecisionRule, np.ndarray]] = {}

    def check(self, rule: DecisionRule) -> DecisionRule:
        """Return a rule in the order of the classes; JavaScript sorts names that are numbers.

        Raises:
            UserError: the rule is of other classes.
        """
        if set(rule.thresholds) != set(self.defects):
            raise UserError(f"thresholds: are of {', '.join(rule.thresholds)}, not {', '.join(self.defects)}")
        by_class = ({name: each[name] for name in self.defects} for each in vars(rule).values())
        return DecisionRule(*by_class)

    def figures(self, rule: DecisionRule) -> DecisionFigures:
        """Return the figures of the validation part under a rule."""
        return self.parts["validation"].measure(rule).figures

    def measure(self, rule: DecisionRule) -> Measures:
        """Return what the page says about all images under a rule."""
        validation = self.parts["validation"].measure(rule)
        walks = {name: part.measure(rule).walks for name, part in self.parts.items()}
        return Measures(validation.figures, validation.too_small, walks)

    def describe(self, address: str, rule: DecisionRule) -> Description:
        """Return what the page says about an image under a rule."""
        shown = self.shown(address)
        components = self._components(shown, self._classes(address, rule), rule)
        height, width = shown.image.shape[:2]
        return Description(
            shown.name,
            height,
            width,
            shown.label is not None,
            components[:_MOST_COMPONENTS],
            max(0, len(components) - _MOST_COMPONENTS),
            self.handover and self.handover.verdict(shown.name, shown.image),
            self.handover and self.handover.counts(),
        )

    def tile(
        self, address: str, layer: str, rule: DecisionRule | None, level: int, row: int, column: int
    ) -> bytes:
        """Return a tile of a layer, "image", "label" or "prediction", as PNG."""
        shown = self.shown(address)
        extent = SIDE * 2.0**level
        if not (row * extent < shown.image.shape[0] and column * extent < shown.image.shape[1]):
            raise UserError(f"{row}, {column}: is outside of the image")
        if layer == "image" and level >= 0:
            return image_tile(shown.image, level, row, column)
        if layer == "label" and shown.label is not None:
            return label_tile(shown.label, level, row, column)
        if layer == "prediction" and rule is not None:
            return prediction_tile(self._classes(address, rule), level, row, column)
        raise UserError(f"{layer}: there is no such layer of this image")

    def probabilities(self, address: str, row: int, column: int) -> dict[str, float]:
        """Return the probability of each defect class at a pixel."""
        values = self.shown(address).probabilities
        if not (0 <= row < values.shape[0] and 0 <= column < values.shape[1]):
            raise UserError(f"{row}, {column}: is outside of the image")
        return dict(zip(self.defects, values[row, column].tolist(), strict=True))

    def give(self, address: str, rule: DecisionRule, verdict: Verdict | None) -> None:
        """Hand the prediction of an image over with a verdict; None takes a verdict back."""
        if self.handover is None:
            raise UserError("serve: was started without --out FOLDER, so nothing can be handed over")
        shown = self.shown(address)
        if verdict is None:
            self.handover.take_back(shown.name, shown.image)
        else:
            self.handover.give(shown.name, shown.image, self._classes(address, rule), verdict)

    def standing(self) -> Standing:
        """Return the rule that is in use, or in words why none is."""
        digest = None
        try:
            self._check_checkpoint()
            digest = decision_digest(self.run_dir)
            decision = read_decision(self.run_dir, self.facts)
        except UserError as error:
            return Standing(None, f"{error}", digest)
        if decision and (other := mismatch(decision, self.step, self.facts)):
            other = f"the saved decision {other}; save another, or go back to automatic"
            return Standing(None, other, digest)
        return Standing(decision, None, digest)

    def cheapest(self, costs: Costs) -> DecisionRule:
        """Return the rule with the lowest costs on the validation part."""
        return least_cost_rule(self.parts["validation"].images, self.defects, costs)

    def save(self, rule: DecisionRule, costs: Costs | None, seen: str | None) -> None:
        """Save a rule as the decision of a person.

        Args:
            rule: thresholds and minimum areas.
            costs: that the rule makes lowest, if any.
            seen: digest of the decision.json that the person has seen; None without one.

        Raises:
            UserError: the run has another checkpoint now or is gone, or decision.json is another.
        """
        self._check_checkpoint()
        self._check_seen(seen)
        write_decision(
            self.run_dir,
            rule,
            self.figures(rule),
            step=self.step,
            data=self.facts.fingerprint,
            costs=costs,
        )

    def reset(self, seen: str | None) -> None:
        """Return to the automatic choice.

        Raises:
            UserError: as `save`.
        """
        self._check_checkpoint()
        self._check_seen(seen)
        remove_decision(self.run_dir)

    def _check_checkpoint(self) -> None:
        if checkpoint_marks(self.run_dir, self._checkpoint) != self._marks:
            raise UserError(f"{self.run_dir}: this run was trained further since; start serve again")

    def _check_seen(self, seen: str | None) -> None:
        if decision_digest(self.run_dir) != seen:
            raise UserError("the thresholds were changed elsewhere; reload the page")

    def _shown(self, address: str) -> Shown:
        """Return an image.

        Raises:
            UserError: there is none at this address.
        """
        place, _, digits = address.partition("/")
        number = int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 10 else -1
        if place == "upload" and (upload := self.uploads.get(number)):
            return Shown(*upload, None)
        part = self.parts.get(place)
        if part is None or not 0 <= number < len(part.images):
            raise UserError("This image is not kept any more; open it again.")
        image = part.images[number]
        return Shown(part.names[number], part.examples[number]["image"], image.probabilities, image.label)

    def _classes(self, address: str, rule: DecisionRule) -> np.ndarray:
        """Return the class map of an image, uint8 [h, w]; those of the last images are kept."""
        kept, classes = self._class_maps.pop(address, (None, np.empty(0)))
        if kept != rule:
            classes = class_map(self.shown(address).probabilities, rule)
        self._class_maps[address] = rule, classes
        for oldest in list(self._class_maps)[:-_RECENT]:
            del self._class_maps[oldest]
        return classes

    def _components(self, shown: Shown, classes: np.ndarray, rule: DecisionRule) -> list[ShownComponent]:
        """Return the components of an image, those that are missed first, then by area."""
        if shown.label is None:
            found = find_components(classes, range(1, 1 + len(self.defects)))
            return self._listed(found, ["predicted"] * len(found.areas), shown.probabilities, rule)
        matches = match_components(classes, shown.label, 1 + len(self.defects))
        states = np.where(matches.false_alarms, "false alarm", "found").tolist()
        missed = ["missed" if hits == 0 else "" for hits in matches.hits.tolist()]
        return [
            *self._listed(matches.labeled, missed, shown.probabilities, rule),
            *self._listed(matches.predicted, states, shown.probabilities, rule),
        ]

    def _listed(
        self, components: Components, states: list[str], probabilities: np.ndarray, rule: DecisionRule
    ) -> list[ShownComponent]:
        """Return those components that have a state, by area."""
        listed = []
        boxes, thresholds = components.boxes(), np.array(list(rule.thresholds.values()))
        for i in np.argsort(-components.areas, kind="stable").tolist():
            if states[i]:
                rows, columns = boxes[i]
                inside = components.numbers[rows, columns] == i + 1
                k = int(components.labels[i])
                hidden = (
                    states[i] == "missed"
                    and (inside & (decide(probabilities[rows, columns], thresholds) == k)).any()
                )
                listed.append(
                    ShownComponent(
                        self.defects[k - 1],
                        int(components.areas[i]),
                        float(probabilities[rows, columns, k - 1][inside].max()),
                        states[i],
                        rule.minimum_areas[self.defects[k - 1]] if hidden else None,
                        rows.start,
                        columns.start,
                        rows.stop - rows.start,
                        columns.stop - columns.start,
                    )
                )
        return listed
