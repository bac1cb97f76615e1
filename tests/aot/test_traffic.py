"""HBM traffic and loops, from lines as the TPU compiler writes them, shortened."""

import pytest

from common.aot.collectives import collectives
from common.aot.hlo import parse, shape_bytes, total
from common.aot.traffic import hbm_bytes

BIG, SMALL = 4 * 1000 * 8, 4 * 8  # f32[1000,8] and f32[8]


def program(*lines, others=""):
    body = "\n".join(f"  {line}" for line in lines)
    return f"HloModule jit_call\n{others}\nENTRY %main (p: f32[1000,8]) -> f32[8] {{\n{body}\n}}\n"


P0 = "%p.0 = f32[1000,8]{1,0:T(8,128)} parameter(0)"
CALL = "ROOT %a = f32[1000,8]{1,0} custom-call"
P1 = "%p.1 = s32[]{:T(128)S(6)} parameter(1)"


@pytest.mark.parametrize(
    ("lines", "moved"),
    [
        ([P0, "ROOT %a = f32[1000,8]{1,0:T(8,128)} negate(%p.0)"], 2 * BIG),
        # What lies in VMEM, S(1), costs nothing.
        ([P0, "ROOT %a = f32[1000,8]{1,0:T(8,128)S(1)} negate(%p.0)"], BIG),
        ([P0, "ROOT %a = (f32[1000,8]{1,0}, f32[1000,8]{1,0}) tuple(%p.0, %p.0)"], 0),
        ([f'{CALL}(), custom_call_target="AllocateBuffer"'], 0),
        ([P0, f'{CALL}(%p.0), custom_call_target="tpu_custom_call"'], 2 * BIG),
        # An array that is copied out of HBM is read once.
        (
            [
                P0,
                "%s = (f32[1000,8]{1,0:S(1)}, f32[1000,8]{1,0}, u32[]{:S(2)}) copy-start(%p.0)",
                "ROOT %d = f32[1000,8]{1,0:S(1)} copy-done(%s)",
            ],
            BIG,
        ),
        # Of a slice's source only the slice is read, of an update's target nothing.
        (
            [P0, P1, "ROOT %a = f32[1,8]{1,0:S(1)} dynamic-slice(%p.0, %p.1, %p.1)"],
            SMALL,
        ),
        (
            [
                P0,
                P1,
                "%new = f32[1,8]{1,0:S(1)} broadcast(%p.1)",
                "ROOT %a = f32[1000,8]{1,0} dynamic-update-slice(%p.0, %new, %p.1, %p.1)",
            ],
            SMALL,
        ),
    ],
)
def test_an_instruction(lines, moved):
    assert hbm_bytes(program(*lines)) == moved


FUSED = """
%inner (i.0: f32[1000,8], i.1: s32[]) -> f32[1,8] {
  %i.0 = f32[1000,8]{1,0} parameter(0)
  %i.1 = s32[]{:S(6)} parameter(1)
  ROOT %i.2 = f32[1,8]{1,0} dynamic-slice(%i.0, %i.1, %i.1)
}
%outer (o.0: s32[], o.1: f32[1000,8], o.2: f32[1000,8]) -> (f32[1000,8], f32[]) {
  %o.1 = f32[1000,8]{1,0} parameter(1)
  %o.0 = s32[]{:S(6)} parameter(0)
  %o.2 = f32[1000,8]{1,0} parameter(2)
  %slice = f32[1,8]{1,0} fusion(%o.1, %o.0), kind=kLoop, calls=%inner
  %big = f32[1000,8]{1,0} exponential(%o.2)
  %sum = f32[]{:S(6)} reduce(%big), to_apply=%add
  %flat = f32[1000,8]{1,0} dynamic-update-slice(%o.1, %slice, %o.0, %o.0)
  ROOT %result = (f32[1000,8]{1,0}, f32[]{:S(6)}) tuple(%flat, %sum)
}"""


def test_a_fusion_reads_what_it_uses_and_writes_what_it_changes():
    line = "ROOT %f = (f32[1000,8]{1,0}, f32[]{:S(6)}) fusion(%p.1, %p.0, %p.0), calls=%outer"
    # The slice is read, the other array as a whole; nothing inside is written but one row.
    assert hbm_bytes(program(P0, P1, line, others=FUSED)) == SMALL + BIG + SMALL


LOOP = """
%add (x: f32[], y: f32[]) -> f32[] {
  ROOT %a = f32[]{:T(128)} add(%x, %y)
}
%inner.body (b: (f32[8])) -> (f32[8]) {
  %b = (f32[8]{0}) parameter(0)
  %g = f32[8]{0} get-tuple-element(%b), index=0
  %r = f32[8]{0} all-reduce(%g), to_apply=%add
  ROOT %t = (f32[8]{0}) tuple(%r)
}
%inner.condition (c: (f32[8])) -> pred[] {
  %c = (f32[8]{0}) parameter(0)
  %three = s32[]{:T(128)S(6)} constant(3)
  ROOT %lt = pred[]{:T(512)S(6)} compare(%three, %three), direction=LT
}
%body (b: (f32[8])) -> (f32[8]) {
  %b = (f32[8]{0}) parameter(0)
  ROOT %w = (f32[8]{0}) while(%b), condition=%inner.condition, body=%inner.body
}
%limit (l: s32[]) -> pred[] {
  %five = s32[]{:T(128)} constant(5)
  ROOT %lt = pred[]{:T(512)S(6)} compare(%l, %five), direction=LT
}
%condition (c: (f32[8])) -> pred[] {
  %c = (f32[8]{0}) parameter(0)
  ROOT %f = pred[]{:S(6)} fusion(%c), calls=%limit
}"""
WHILE = "ROOT %w = (f32[8]{0}) while(%p.0), condition=%condition, body=%body"


def test_loops_count_as_often_as_they_run():
    (reduced,) = collectives(program(P0, WHILE, others=LOOP), updates=5)
    assert (reduced.count, reduced.bytes) == (1, SMALL)
    assert (reduced.runs, reduced.sent) == (3, 3 * SMALL)
    assert hbm_bytes(program(P0, WHILE, others=LOOP)) == 15 * 2 * SMALL


def test_a_loop_whose_length_the_compiler_states():
    line = WHILE + ', backend_config={"known_trip_count":{"n":"7"}}'
    (reduced,) = collectives(program(P0, line, others=LOOP))
    assert reduced.runs == 7 * 3


@pytest.mark.parametrize(
    "branches",
    ["branch_computations={%inner.body, %add}", "true_computation=%add, false_computation=%body"],
)
def test_the_largest_branch_counts(branches):
    line = f"ROOT %w = (f32[8]{{0}}) conditional(%p.0, %p.0, %p.0), {branches}"
    (reduced,) = collectives(program(P0, line, others=LOOP))
    assert reduced.runs == (3 if "%body" in branches else 1)
    assert reduced.count == 1  # in the text, wherever it is


def test_several_modules_and_names_that_they_share():
    text = program(P0, "ROOT %a = f32[8]{0} negate(%p.0)") + program(
        "%p.0 = f32[8]{0} parameter(0)", "ROOT %a = f32[8]{0} negate(%p.0)"
    )
    first, second = parse(text)
    assert first.entry == second.entry == "%main"
    assert hbm_bytes(text) == BIG + SMALL + 2 * SMALL
    count = total(first, lambda computation, each: {each.opcode: 1}, inside_fusions=True)
    assert count == {"parameter": 1, "negate": 1}


def test_memories():
    shape = "(f32[8]@, bf16[4])"
    assert shape_bytes(shape) == 40 and shape_bytes(shape, hbm_alone=True) == 8
