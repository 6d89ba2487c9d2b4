from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from train.data.sets.split import Traits, draw

images = st.dictionaries(
    st.integers(0, 999).map(str),
    st.builds(Traits, st.sampled_from("abcdefgh"), st.frozensets(st.integers(0, 3))),
    min_size=1,
)


@given(images, st.floats(0, 1), st.integers(0, 9))
def test_groups_stay_whole_and_the_fraction_is_kept_to_half_a_group(images, fraction, seed):
    drawn = draw(images, fraction, seed)
    assert not {images[name].group for name in drawn} & {images[name].group for name in images.keys() - drawn}
    largest = max(Counter(traits.group for traits in images.values()).values())
    assert abs(len(drawn) - fraction * len(images)) <= largest / 2 + 1e-9


def test_classes_are_as_frequent_as_in_all_images():
    images = {str(i): Traits(str(i), frozenset({0, i % 10 == 0})) for i in range(200)}
    drawn = draw(images, 0.25, seed=3)
    assert len(drawn) == 50
    assert sum(1 in images[name].classes for name in drawn) == 5


def test_the_draw_depends_on_names_and_seed_alone():
    images = {name: Traits(name, frozenset({0})) for name in "abcdefghij"}
    backwards = dict(reversed(images.items()))
    assert draw(images, 0.3, 0) == draw(backwards, 0.3, 0) == {"b", "c", "e"}
    assert len({frozenset(draw(images, 0.3, seed)) for seed in range(9)}) > 1
