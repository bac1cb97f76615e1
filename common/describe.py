"""Asks a language model about classes: writes the questions, and makes a corpus of the answers.

    python -m common.describe --data=DATASET --out=QUESTIONS.jsonl [--answers=ANSWERS.jsonl]
    python -m common.describe --data=DATASET --out=CORPUS.json --answers=ANSWERS.jsonl
        [--endpoint=URL --model=NAME] [--style=sentences|descriptors] [--kind=TEXT] [--repeats=N]

The first form writes a line `{"custom_id", "class", "question"}` for each question that has no
answer yet; any chat model, or a person, may answer. A line of answers has the `custom_id` and the
`answer`; the results of OpenAI's and Anthropic's batches are read as they are. The second form
writes `{class: [sentence, ...]}`, which `prompts.source=json:FILE` of ProText and AAPE reads.

With `--endpoint` the questions are asked right away, at an address that speaks OpenAI's protocol,
e.g. http://localhost:8000/v1 of vLLM or Ollama. The key is taken from the variable OPENAI_API_KEY.
Answers are added to the file of answers as they come, so that the same command goes on where it was
stopped.

`--style=descriptors` asks for short features instead, for `descriptors=FILE` of ProText. `--kind`
tells what all classes are, e.g. "a type of flower". `--repeats` asks each question several times.

For example:

    python -m common.describe --data=folder:photos --out=questions.jsonl
"""

import json
import os
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from absl import flags

from common.data import open_dataset
from common.errors import UserError, run_command
from common.files import atomic_write, read_text
from common.paths import as_output, as_path
from common.progress import Progress, say
from common.protocols.describing import (
    QUESTIONS,
    Question,
    answer_of,
    merged_answers,
    questions_about,
)
from common.text import counted, shown

KEY = "OPENAI_API_KEY"
_TIMEOUT = 120


def define_flags() -> None:
    """Define the command's options."""
    flags.DEFINE_string("data", None, "Data set whose classes are asked about.", required=True)
    flags.DEFINE_string("out", None, "Questions (.jsonl) or corpus (.json).", required=True)
    flags.DEFINE_string("answers", None, "File of answers, .jsonl.")
    flags.DEFINE_string("endpoint", None, "Address of a chat model in OpenAI's protocol.")
    flags.DEFINE_string("model", None, "What the endpoint calls the model.")
    flags.DEFINE_enum("style", "sentences", list(QUESTIONS), "What is asked for.")
    flags.DEFINE_string("kind", "", 'What all classes are, e.g. "a type of flower".')
    flags.DEFINE_integer("repeats", 1, "How often each question is asked.", 1, 1000)


def read_answers(file: Path) -> dict[str, str]:
    """Return answers by their question's `custom_id`.

    Raises:
      UserError: A line is not JSON, or has neither an id nor an answer.
    """
    answers = {}
    remedy = 'give lines such as {"custom_id": "...", "answer": "..."}'
    for number, line in enumerate(read_text(file, remedy).splitlines(), start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except ValueError:
            raise UserError(f"line {number} of {file} is not JSON: {remedy}.") from None
        identity = record.get("custom_id") if isinstance(record, dict) else None
        text = answer_of(record) if isinstance(identity, str) else None
        if text is None:
            raise UserError(f"line {number} of {file} has no id and answer: {remedy}.")
        answers[identity] = text
    return answers


def ask(question: str, endpoint: str, model: str) -> str:
    """Return what a chat model answers.

    Raises:
      UserError: The endpoint refuses, cannot be reached, or answers in another form.
    """
    body = {"model": model, "messages": [{"role": "user", "content": question}]}
    headers = {"Content-Type": "application/json"}
    if key := os.environ.get(KEY):
        headers["Authorization"] = f"Bearer {key}"
    request = urllib.request.Request(
        f"{endpoint.rstrip('/')}/chat/completions", json.dumps(body).encode(), headers
    )
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT) as response:
            answer = answer_of({"response": {"body": json.load(response)}})
    except urllib.error.HTTPError as error:
        error.close()
        raise UserError(
            f"{endpoint} refuses with status {error.code}: look at --model and the key in {KEY}."
        ) from None
    except (OSError, ValueError) as error:
        raise UserError(f"{endpoint} cannot be asked ({error}): see that it runs.") from None
    if answer is None:
        raise UserError(f"{endpoint} does not answer as OpenAI's protocol says: give another.")
    return answer


def ask_all(questions: Sequence[Question], endpoint: str, model: str, file: Path) -> None:
    """Ask and add each answer to the file as it comes."""
    with Progress(len(questions), "Asking") as progress, file.open("a", encoding="utf-8") as out:
        for number, question in enumerate(questions, start=1):
            record = {"custom_id": question.custom_id, "class": question.classname}
            record["answer"] = ask(question.text, endpoint, model)
            out.write(json.dumps(record, ensure_ascii=False) + "\n")
            out.flush()
            progress.update(number)


def main(argv: Sequence[str]) -> None:
    """Run the command."""
    del argv
    options = flags.FLAGS
    out = as_output(options.out, "--out")
    if out.suffix not in (".json", ".jsonl"):
        raise UserError(f"--out={options.out} must end in .jsonl (questions) or .json (a corpus).")
    if bool(options.endpoint) != bool(options.model):
        raise UserError("--endpoint and --model belong together: give both or neither.")
    if (options.endpoint or out.suffix == ".json") and not options.answers:
        raise UserError("missing --answers: name the file of answers, .jsonl.")
    if options.endpoint and not options.endpoint.startswith(("http://", "https://")):
        raise UserError(f"--endpoint={shown(options.endpoint)} is not an http address: give one.")
    classnames = open_dataset(options.data, holdout=0).classnames
    questions = questions_about(classnames, options.style, options.kind, options.repeats)
    answers = {}
    if options.answers:
        file = as_path(options.answers)
        if file.exists() or not options.endpoint:
            answers = read_answers(file)
        missing = [question for question in questions if question.custom_id not in answers]
        if options.endpoint and missing:
            ask_all(missing, options.endpoint, options.model, file)
            answers = read_answers(file)
    if out.suffix == ".jsonl":
        lines = [_line(x) for x in questions if x.custom_id not in answers]
        text = "".join(lines)
        told = f"{counted(len(lines), 'question')} about {counted(len(classnames), 'class')}"
    else:
        corpus = merged_answers(questions, answers, options.style)
        text = json.dumps(corpus, indent=1, ensure_ascii=False) + "\n"
        count = sum(map(len, corpus.values()))
        told = f"{count} {options.style} about {counted(len(corpus), 'class')}"
    with atomic_write(out) as temporary:
        temporary.write_text(text, encoding="utf-8")
    say(f"wrote {out}: {told}")


def _line(question: Question) -> str:
    record = {
        "custom_id": question.custom_id,
        "class": question.classname,
        "question": question.text,
    }
    return json.dumps(record, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    run_command(main, define_flags)
