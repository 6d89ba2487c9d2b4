"""The bytes that `tests.benchmarks.compiled.hlo` counts, against counts by hand."""

import textwrap

import jax
import jax.numpy as jnp
import pytest

from tests.benchmarks.compiled import hlo

MAP = 4 * 1000
"""Bytes of f32[1000]."""


def module(entry: str, *computations: str) -> str:
    """Return the text of a module, with the lines of the entry computation."""
    texts = [*map(textwrap.dedent, computations), f"ENTRY %main (x: f32[1000]) -> f32[1000] {{\n{entry}\n}}"]
    return "HloModule test, is_scheduled=true\n\n" + "\n\n".join(texts) + "\n"


def fused(*lines: str) -> str:
    """Return a computation of the name `fused`."""
    return "%fused (p: f32[1000]) -> f32[1000] {\n" + "\n".join(f"  {line}" for line in lines) + "\n}"


@pytest.mark.parametrize(
    ("shapes", "expected"),
    [
        ("f32[2,3]{1,0:T(8,128)S(1)}", 24),
        ("(bf16[5]{0}, pred[4]{0}, /*index=2*/s64[])", 22),
        ("f8e4m3fn[7]", 7),
        ("token[]", 0),
    ],
)
def test_a_type_has_the_bytes_of_its_arrays(shapes, expected):
    assert hlo.array_bytes(shapes) == expected


def test_an_instruction_reads_its_operands_once_and_writes_its_result():
    entry = """\
      %x = f32[1000]{0} parameter(0)
      %y = f32[1000]{0} multiply(%x, %x), metadata={op_name="f(x) = x * %x"}
      ROOT %z = f32[1000]{0} add(%x, %y)"""
    assert hlo.traffic(module(entry)) == hlo.Traffic(5 * MAP, 5 * MAP, 2, (), 0)


def test_what_only_names_memory_moves_nothing():
    entry = """\
      %x = f32[1000]{0} parameter(0)
      %a = f32[1000]{0} custom-call(), custom_call_target="AllocateBuffer"
      %b = f32[10,100]{1,0} bitcast(%x)
      %t = (f32[1000]{0}, f32[10,100]{1,0}) tuple(%a, %b)
      ROOT %r = f32[1000]{0} get-tuple-element(%t), index=0"""
    assert hlo.traffic(module(entry)).bytes == 0


def test_the_workspace_of_a_library_is_not_moved():
    entry = """\
      %x = f32[1000]{0} parameter(0)
      %c = (f32[1000]{0}, s8[33554432]{0}) custom-call(%x, %x), custom_call_target="__cublas$lt$matmul"
      %w = s8[33554432]{0} get-tuple-element(%c), index=1
      ROOT %y = f32[1000]{0} get-tuple-element(%c), index=0"""
    assert hlo.traffic(module(entry)).bytes == 2 * MAP


def test_what_any_other_call_returns_is_moved():
    entry = """\
      %x = f32[1000]{0} parameter(0)
      ROOT %c = (f32[1000]{0}, s8[500]{0}) custom-call(%x), custom_call_target="compress"
      """
    assert hlo.traffic(module(entry)).bytes == 2 * MAP + 500


def test_a_fusion_moves_its_operands_and_its_result_but_nothing_inside():
    inside = fused(
        "%p = f32[1000]{0} parameter(0)",
        "%e = f32[1000]{0} exponential(%p)",
        "ROOT %n = f32[1000]{0} negate(%e)",
    )
    entry = """\
      %x = f32[1000]{0} parameter(0)
      ROOT %f = f32[1000]{0} fusion(%x), kind=kLoop, calls=%fused"""
    assert hlo.traffic(module(entry, inside)) == hlo.Traffic(2 * MAP, 2 * MAP, 1, (), 0)


def test_a_fusion_that_slices_reads_the_slice():
    inside = fused(
        "%p = f32[1000]{0} parameter(0)",
        "%b = f32[10,100]{1,0} bitcast(%p)",
        "%i = s32[] parameter(1)",
        "ROOT %s = f32[1,100]{1,0} dynamic-slice(%b, %i, %i), dynamic_slice_sizes={1,100}",
    )
    entry = """\
      %x = f32[1000]{0} parameter(0)
      %i = s32[] constant(3)
      ROOT %f = f32[1,100]{1,0} fusion(%x, %i), kind=kLoop, calls=%fused"""
    assert hlo.traffic(module(entry, inside)).bytes == 400 + 4 + 400


def test_overlapping_slices_read_an_operand_no_more_than_once():
    slices = (f"%s{i} = f32[900]{{0}} slice(%p), slice={{[{i}:{900 + i}]}}" for i in range(2))
    inside = fused("%p = f32[1000]{0} parameter(0)", *slices, "ROOT %a = f32[900]{0} add(%s0, %s1)")
    entry = """\
      %x = f32[1000]{0} parameter(0)
      ROOT %f = f32[900]{0} fusion(%x), kind=kLoop, calls=%fused"""
    assert hlo.traffic(module(entry, inside)).bytes == MAP + 3600


def test_an_update_in_place_moves_the_update():
    inside = fused(
        "%p = f32[1000]{0} parameter(0)",
        "%u = f32[10]{0} parameter(1)",
        "%i = s32[] constant(5)",
        "ROOT %d = f32[1000]{0} dynamic-update-slice(%p, %u, %i)",
    )
    entry = """\
      %x = f32[1000]{0} parameter(0)
      %u = f32[10]{0} parameter(1)
      ROOT %f = f32[1000]{0} fusion(%x, %u), kind=kLoop, calls=%fused"""
    assert hlo.traffic(module(entry, inside)).bytes == 40 + 40


def test_an_asynchronous_copy_counts_where_it_starts():
    entry = """\
      %x = f32[1000]{0} parameter(0)
      %s = (f32[1000]{0}, f32[1000]{0:S(1)}, u32[]{:S(2)}) copy-start(%x)
      ROOT %d = f32[1000]{0} copy-done(%s)"""
    assert hlo.traffic(module(entry)) == hlo.Traffic(2 * MAP + 4, 2 * MAP + 4, 1, (), 0)


def test_a_conditional_counts_its_costliest_branch():
    cheap = "%cheap (p: f32[1000]) -> f32[1000] {\n  ROOT %p = f32[1000]{0} parameter(0)\n}"
    costly = """\
    %costly (p: f32[1000]) -> f32[1000] {
      %p = f32[1000]{0} parameter(0)
      ROOT %n = f32[1000]{0} negate(%p)
    }"""
    entry = """\
      %i = s32[] parameter(1)
      %x = f32[1000]{0} parameter(0)
      ROOT %c = f32[1000]{0} conditional(%i, %x, %x), branch_computations={%cheap, %costly}"""
    assert hlo.traffic(module(entry, cheap, costly)).bytes == 2 * MAP


BODY = """\
%body (t: (s32[], f32[1000])) -> (s32[], f32[1000]) {
  %t = (s32[], f32[1000]{0}) parameter(0)
  %i = s32[] get-tuple-element(%t), index=0
  %one = s32[] constant(1)
  %next = s32[] add(%i, %one)
  %v = f32[1000]{0} get-tuple-element(%t), index=1
  %n = f32[1000]{0} negate(%v)
  ROOT %r = (s32[], f32[1000]{0}) tuple(%next, %n)
}"""
CONDITION = """\
%condition (t: (s32[], f32[1000])) -> pred[] {
  %t = (s32[], f32[1000]{0}) parameter(0)
  %i = s32[] get-tuple-element(%t), index=0
  %limit = s32[] constant(9)
  ROOT %c = pred[] compare(%i, %limit), direction=LT
}"""
LOOP = """\
  %x = f32[1000]{0} parameter(0)
  %two = s32[] constant(2)
  %start = (s32[], f32[1000]{0}) tuple(%two, %x)
  ROOT %w = (s32[], f32[1000]{0}) while(%start), condition=%condition, body=%body"""
TURN = (4 + 4 + 4) + 2 * MAP + (4 + 4 + 1)
"""Counter, map and comparison."""


def test_a_loop_counts_as_often_as_its_counter_says():
    assert hlo.traffic(module(LOOP, BODY, CONDITION)) == hlo.Traffic(7 * TURN, TURN, 21, (7,), 0)


def test_a_loop_counts_as_often_as_the_compiler_notes():
    noted = LOOP + ', backend_config={"known_trip_count":{"n":"5"}}'
    assert hlo.traffic(module(noted, BODY, CONDITION)).bytes == 5 * TURN


@pytest.mark.parametrize(
    ("old", "new"), [("constant(9)", "get-tuple-element(%t), index=1"), ("direction=LT", "direction=NE")]
)
def test_a_loop_whose_end_is_unknown_counts_once_and_is_marked(old, new):
    counted = hlo.traffic(module(LOOP, BODY, CONDITION.replace(old, new)))
    assert (counted.bytes, counted.loops) == (TURN, (None,))


def test_sorts_are_counted():
    entry = """\
      %x = f32[1000]{0} parameter(0)
      ROOT %s = f32[1000]{0} sort(%x), dimensions={0}, to_apply=%compare"""
    assert hlo.traffic(module(entry)) == hlo.Traffic(2 * MAP, 2 * MAP, 1, (), 1)


def test_a_compiled_loop_over_rows_reads_each_row_once():
    def total(x: jax.Array) -> jax.Array:
        return jax.lax.fori_loop(0, 50, lambda i, sums: jnp.sin(sums) + x[i], jnp.zeros(10000))

    text = jax.jit(total).lower(jax.ShapeDtypeStruct((50, 10000), jnp.float32)).compile().as_text()
    counted = hlo.traffic(text or "")
    assert counted.loops == (50,)
    assert counted.bytes == pytest.approx(50 * 3 * 4 * 10000, rel=0.1)
