from common.aot.collectives import Collectives, collectives, shape_bytes

# Lines as the TPU compiler writes them, shortened.
HLO = """
HloModule jit_call, is_scheduled=true

%add (a: f32[], b: f32[]) -> f32[] {
  %a = f32[]{:T(128)} parameter(0)
  ROOT %sum = f32[]{:T(128)} add(%a, %b), metadata={op_name="all-reduce(not one)"}
}

ENTRY %main {
  %p.0 = bf16[16,8]{1,0:T(8,128)(2,1)S(1)} parameter(0)
  %p.1 = f32[128]{0:T(128)} parameter(1)
  %all-reduce.5 = f32[1]{0:T(128)} all-reduce(%p.1), replica_groups={{0,1},{2,3}}, to_apply=%add
  %all-reduce.6 = (f32[8]{0}, s32[4]{0}) all-reduce(%p.1, %p.0), to_apply=%add
  %ag-start = (bf16[16,8]{1,0}, bf16[64,8]{1,0:T(8,128)}) all-gather-start(%p.0), dimensions={0}
  %ag-done = bf16[64,8]{1,0:T(8,128)} all-gather-done(%ag-start)
  %rs = f32[32]{0} reduce-scatter(%p.1), dimensions={0}, to_apply=%add
  %cp-start = (f32[128]{0}, f32[128]{0}, u32[], u32[]) collective-permute-start(%p.1)
  ROOT %cp-done = f32[128]{0} collective-permute-done(%cp-start)
  %fusion = f32[128]{0} fusion(%all-reduce.5), kind=kLoop, calls=%all-reduce-fusion
}
"""


def test_kinds_counts_and_bytes():
    found = {each.kind: each for each in collectives(HLO)}
    assert list(found) == ["all-reduce", "all-gather", "reduce-scatter", "collective-permute"]
    # A result or its operands, whichever is larger: 512 and 512 + 256.
    assert found["all-reduce"] == Collectives("all-reduce", 2, 512 + 768, 768, 2.0, 1280.0)
    assert found["all-gather"] == Collectives("all-gather", 1, 64 * 8 * 2, 64 * 8 * 2, 1.0, 1024.0)
    assert found["reduce-scatter"].bytes == 128 * 4
    assert found["collective-permute"] == Collectives("collective-permute", 1, 512, 512, 1.0, 512.0)


def test_a_program_without_any():
    assert collectives("ENTRY %main {\n  ROOT %p = f32[2] parameter(0)\n}") == ()


def test_sizes_of_shapes():
    sizes = {
        "f32[]": 4,
        "bf16[2,3]": 12,
        "pred[5]": 5,
        "s4[3]": 2,
        "f8e4m3fn[7]": 7,
        "c64[2]": 16,
        "f32[<=4,2]": 32,
        "f32[0]": 0,
        "token[]": 0,
        "(f32[2], (s8[4], u64[]))": 20,
    }
    assert {shape: shape_bytes(shape) for shape in sizes} == sizes
