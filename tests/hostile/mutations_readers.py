"""Takes out what checks files, weights and cached arrays, and shows which test notices.

python -m tests.hostile.mutations_readers [NAME ...]
"""

from tests.mutations import Mutation, main

JSON = "hostile/test_json_files.py"
FIELDS = "hostile/test_records.py"
FINITE = "hostile/test_finite.py"
WEIGHTS = "hostile/test_weight_files.py"
TORCH = "hostile/test_torch_archives.py"
CACHE = "hostile/test_cache_entries.py"
NAMES = "hostile/test_model_names.py"
LEARNED = "hostile/test_learned_files.py"

MUTATIONS = (
    Mutation(
        "a key twice",
        "common/strict_json.py",
        "    if len(record) < len(pairs):",
        "    if len(record) < 0:",
        JSON,
    ),
    Mutation(
        "numbers beyond all",
        "common/strict_json.py",
        "    if not math.isfinite(number):",
        "    if False:",
        JSON,
    ),
    Mutation(
        "values without end",
        "common/strict_json.py",
        "> MOST_VALUES:",
        "> 10 * MOST_VALUES:",
        JSON,
    ),
    Mutation(
        "nesting without end",
        "common/strict_json.py",
        "    _require_shallow(content)\n",
        "",
        JSON,
    ),
    Mutation(
        "halves of letters",
        "common/strict_json.py",
        "    if _SURROGATE.search(text):",
        "    if False:",
        JSON,
    ),
    Mutation(
        "NaN is written",
        "common/strict_json.py",
        "        return json.dumps(_with_null(content), indent=indent, allow_nan=False)",
        "        return json.dumps(content, indent=indent)",
        JSON,
    ),
    Mutation(
        "pipes and devices",
        "common/files.py",
        "    if not regular:",
        "    if False:",
        JSON,
    ),
    Mutation(
        "files without end",
        "common/files.py",
        "    if limit is not None and size > limit:",
        "    if False:",
        JSON,
    ),
    Mutation(
        "bombs of gzip",
        "common/files.py",
        "    if len(unpacked) > limit:",
        "    if False:",
        JSON,
    ),
    Mutation(
        "pointers",
        "common/files.py",
        "    if start.startswith(_LFS):",
        "    if False:",
        JSON,
    ),
    Mutation(
        "true as a number",
        "common/records.py",
        "    if isinstance(value, bool) or not isinstance(value, int | float | str):",
        "    if not isinstance(value, int | float | str):",
        FIELDS,
    ),
    Mutation(
        "fractions as whole numbers",
        "common/records.py",
        " or number != int(number):",
        ":",
        FIELDS,
    ),
    Mutation(
        "numbers that are not finite",
        "common/records.py",
        "    if not math.isfinite(number) or not low <= number <= high:",
        "    if not low <= number <= high:",
        FIELDS,
    ),
    Mutation(
        "lists of any length",
        "common/records.py",
        "    if length not in (None, len(items)):",
        "    if False:",
        FIELDS,
    ),
    Mutation(
        "the first block alone",
        "common/finite.py",
        "for start in range(0, len(bits), _BLOCK))",
        "for start in range(0, len(bits[:1]), _BLOCK))",
        FINITE,
    ),
    Mutation(
        "the exponent of another type",
        "common/finite.py",
        '"bfloat16": np.uint16(0x7F80)',
        '"bfloat16": np.uint16(0x7C00)',
        FINITE,
    ),
    Mutation(
        "tensors that overlap",
        "common/weights/safetensors_file.py",
        "        if begin not in ends:",
        "        if False:",
        WEIGHTS,
    ),
    Mutation(
        "bytes behind the tensors",
        "common/weights/safetensors_file.py",
        "    if start + max(ends) != len(mapped):",
        "    if False:",
        WEIGHTS,
    ),
    Mutation(
        "shards elsewhere",
        "common/weights/files.py",
        '        if Path(shard).name != shard or "\\\\" in shard:',
        "        if False:",
        WEIGHTS,
    ),
    Mutation(
        "a tensor in two shards",
        "common/weights/files.py",
        "        if twice := sorted(set(part) & set(tensors)):",
        "        if twice := []:",
        WEIGHTS,
    ),
    Mutation(
        "wrappers' prefixes",
        "common/weights/files.py",
        '_WRAPPERS = ("module.", "_orig_mod.")',
        '_WRAPPERS = ("module.",)',
        WEIGHTS,
    ),
    Mutation(
        "NaN among weights",
        "common/weights/table.py",
        "if not is_finite(_narrow(tensors[key])):",
        "if False:",
        WEIGHTS,
    ),
    Mutation(
        "numbers beyond float32",
        "common/weights/table.py",
        "    if tensor.dtype != np.float64:",
        "    if True:",
        WEIGHTS,
    ),
    Mutation(
        "a scale in brackets",
        "common/weights/table.py",
        "            flat[path] = part.reshape(()) if number else part",
        "            flat[path] = part",
        WEIGHTS,
    ),
    Mutation(
        "instructions without end",
        "common/weights/pickles.py",
        "        if number >= MOST_INSTRUCTIONS:",
        "        if False:",
        TORCH,
    ),
    Mutation(
        "keys that nest",
        "common/weights/pickles.py",
        "        if not isinstance(key, str | int | float | bytes | None):",
        "        if False:",
        TORCH,
    ),
    Mutation(
        "tensors larger than their numbers",
        "common/weights/torch_archive.py",
        "        if math.prod(size) > storage.size or self._left < 0:",
        "        if self._left < 0:",
        TORCH,
    ),
    Mutation(
        "numbers shared without end",
        "common/weights/torch_archive.py",
        "        if math.prod(size) > storage.size or self._left < 0:",
        "        if math.prod(size) > storage.size:",
        TORCH,
    ),
    Mutation(
        "compressed members",
        "common/weights/torch_archive.py",
        "        if any(member.compress_type != zipfile.ZIP_STORED for member in members):",
        "        if False:",
        TORCH,
    ),
    Mutation(
        "members larger than the file",
        "common/weights/torch_archive.py",
        "        if sum(member.file_size for member in members) > size:",
        "        if False:",
        TORCH,
    ),
    Mutation(
        "another order of bytes",
        "common/weights/torch_archive.py",
        'and self._archive.read(order) != b"little":',
        "and False:",
        TORCH,
    ),
    Mutation(
        "bombs of zip",
        "common/weights/npz.py",
        "    if sum(member.file_size for member in members) > max(SMALL, MOST_PACKED * size):",
        "    if False:",
        CACHE,
    ),
    Mutation(
        "other damage than numpy's",
        "common/weights/npz.py",
        "    except DAMAGED as error:",
        "    except (OSError, ValueError) as error:",
        CACHE,
    ),
    Mutation(
        "cached NaN",
        "common/data/cache.py",
        "        if names := not_finite(arrays):",
        "        if names := []:",
        CACHE,
    ),
    Mutation(
        "cached shapes",
        "common/data/cache.py",
        "            if array.dtype.kind not in",
        "            if False and array.dtype.kind not in",
        CACHE,
    ),
    Mutation(
        "NaN is kept",
        "common/data/cache.py",
        "    require_finite(\n        arrays,\n",
        "    require_finite(\n        {},\n",
        CACHE,
    ),
    Mutation(
        "passes without shapes",
        "common/data/passes.py",
        "return ExpectedArrays(frozenset({name}), self.rows, self.shapes)",
        "return ExpectedArrays(frozenset({name}), self.rows)",
        CACHE,
    ),
    Mutation(
        "names of other libraries",
        "common/weights/resolve.py",
        "    if known := known_id(source):",
        "    if known := None:",
        NAMES,
    ),
    Mutation(
        "a file as a model",
        "common/weights/resolve.py",
        "        refuse_file(Path(source))\n",
        "        pass\n",
        NAMES,
    ),
    Mutation(
        "prompts of other sizes",
        "protext_jax/learned.py",
        "        if not _fits(shapes, clip.config.text):",
        "        if False:",
        LEARNED,
    ),
    Mutation(
        "prompts with NaN",
        "protext_jax/files.py",
        '    require_finite(arrays, f"{path}", "train the prompts again")\n',
        "",
        LEARNED,
    ),
    Mutation(
        "captioners of other sizes",
        "aape_jax/task.py",
        "            require_fit(name, params, fresh[name])\n",
        "            pass\n",
        "hostile/test_first_table.py",
    ),
    Mutation(
        "exported captioners of other sizes",
        "aape_jax/export.py",
        "    task.check_heads(config, heads_in(learned))\n",
        "",
        "hostile/test_first_table.py",
    ),
    Mutation(
        "heads with NaN",
        "aape_jax/core/heads_file.py",
        '    require_finite(arrays, f"the head {path}", "train the run again")\n',
        "",
        LEARNED,
    ),
)

if __name__ == "__main__":
    main(MUTATIONS)
