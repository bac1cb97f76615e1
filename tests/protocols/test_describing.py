import http.server
import json
import re
import threading
from typing import ClassVar

import pytest
from PIL import Image

from common.errors import UserError
from common.protocols.describing import (
    QUESTIONS,
    answer_of,
    merged_answers,
    pieces_of,
    questions_about,
)
from tests.hostile import commands


def test_questions_have_articles_and_the_kind():
    first, *_ = questions_about(["arctic_fox"], "sentences", "a type of animal")
    assert first.text.startswith("Describe what an arctic fox, a type of animal, looks like")
    assert first.classname == "arctic_fox"
    assert len(questions_about(["a", "b"], "sentences", repeats=3)) == 2 * 5 * 3
    identities = {x.custom_id for x in questions_about(["a", "b"], "sentences", repeats=3)}
    assert len(identities) == 30


@pytest.mark.parametrize("style", QUESTIONS)
def test_an_answer_belongs_to_its_question_however_the_data_set_changes(style):
    def ids(*classnames, kind=""):
        return {
            (x.classname, x.text, x.custom_id) for x in questions_about(classnames, style, kind)
        }

    fewer, more = ids("fox", "owl"), ids("ant", "owl", "fox", "owl")
    assert fewer < more == ids("ant", "fox", "owl")
    of_a_kind = {x[2] for x in ids("fox", "owl", kind="a type of animal")}
    assert not of_a_kind & {x[2] for x in fewer}
    # A batch of a chat service takes no more letters, and no others.
    assert all(re.fullmatch("[a-z0-9-]{1,60}", x[2]) for x in more)


@pytest.mark.parametrize(
    "record",
    [
        {"answer": "A fox."},
        {"response": {"body": {"choices": [{"message": {"content": "A fox."}}]}}},
        {"result": {"message": {"content": [{"type": "text", "text": "A fox."}]}}},
    ],
    ids=["plain", "openai", "anthropic"],
)
def test_answers_of_batches_are_read(record):
    assert answer_of({"custom_id": "x", **record}) == "A fox."


def test_answers_become_sentences_without_marks():
    answer = (
        "Here is what it looks like:\n\n- **A fox** has a red coat. It has ears!\n2) A long tail."
    )
    assert pieces_of(answer, "sentences") == [
        "A fox has a red coat.",
        "It has ears!",
        "A long tail.",
    ]
    listed = "Features:\n- red coat\n- bushy tail.\n\n* pointed ears"
    assert pieces_of(listed, "descriptors") == ["red coat", "bushy tail", "pointed ears"]


def test_merged_answers_hold_each_sentence_once_and_every_class():
    questions = questions_about(["fox", "owl"], "sentences")
    same = {x.custom_id: f"The {x.classname} is an animal." for x in questions}
    assert merged_answers(questions, same, "sentences") == {
        "fox": ["The fox is an animal."],
        "owl": ["The owl is an animal."],
    }
    owls = {key: text for key, text in same.items() if "owl" in text}
    with pytest.raises(UserError, match="1 class has no answer, 'fox'"):
        merged_answers(questions, owls, "sentences")


NAMES = ("fox", "owl", "toad")


@pytest.fixture(scope="module")
def describe(tmp_path_factory):
    """Runs the command on a folder of three classes."""
    folder = tmp_path_factory.mktemp("photos")
    for name in NAMES:
        (folder / name).mkdir()
        Image.new("RGB", (4, 4)).save(folder / name / "1.png")

    def run(*options):
        return commands.run("common.describe", f"--data=folder:{folder}", *options)

    return run


def test_from_questions_to_a_corpus(describe, tmp_path):
    questions, answers = tmp_path / "questions.jsonl", tmp_path / "answers.jsonl"
    done = describe(f"--out={questions}")
    assert done.status == 0, done.err
    asked = [json.loads(line) for line in questions.read_text().splitlines()]
    assert {record["class"] for record in asked} == set(NAMES)

    def answer(record):
        return {
            "custom_id": record["custom_id"],
            "answer": f"A {record['class']} is red and round.",
        }

    answers.write_text("".join(json.dumps(answer(x)) + "\n" for x in asked[:-5]))
    # What has an answer is not asked again.
    done = describe(f"--out={questions}", f"--answers={answers}")
    assert len(questions.read_text().splitlines()) == 5
    done = describe(f"--out={tmp_path / 'x.json'}", f"--answers={answers}")
    assert done.status == 2 and NAMES[-1] in done.err and not (tmp_path / "x.json").exists()

    with answers.open("a") as file:
        file.writelines(json.dumps(answer(x)) + "\n" for x in asked[-5:])
    done = describe(f"--out={tmp_path / 'corpus.json'}", f"--answers={answers}")
    assert done.status == 0, done.err
    corpus = json.loads((tmp_path / "corpus.json").read_text())
    assert corpus == {name: [f"A {name} is red and round."] for name in NAMES}


class ChatModel(http.server.BaseHTTPRequestHandler):
    """Answers every question; keeps what it was asked."""

    asked: ClassVar[list[dict]] = []
    status: ClassVar[int] = 200

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.asked.append({"path": self.path, "key": self.headers.get("Authorization"), **body})
        self.send_response(self.status)
        self.end_headers()
        content = "It is small and red all over."
        self.wfile.write(json.dumps({"choices": [{"message": {"content": content}}]}).encode())

    def log_message(self, *arguments):
        pass


@pytest.fixture
def endpoint():
    ChatModel.asked, ChatModel.status = [], 200
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), ChatModel) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/v1"
        server.shutdown()
        thread.join()


def test_an_endpoint_is_asked_what_is_missing(describe, endpoint, tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    options = (
        f"--out={tmp_path / 'corpus.json'}",
        f"--answers={tmp_path / 'answers.jsonl'}",
        f"--endpoint={endpoint}",
        "--model=tiny",
    )
    done = describe(*options)
    assert done.status == 0, done.err
    count = 5 * len(NAMES)
    assert len(ChatModel.asked) == count
    first = ChatModel.asked[0]
    assert first["path"] == "/v1/chat/completions" and first["model"] == "tiny"
    assert first["key"] == "Bearer secret" and "secret" not in done.out + done.err
    assert describe(*options).status == 0
    assert len(ChatModel.asked) == count, "nothing is asked twice"


def test_an_endpoint_that_refuses_is_a_sentence_and_answers_stay(describe, endpoint, tmp_path):
    ChatModel.status = 429
    answers = tmp_path / "answers.jsonl"
    done = describe(
        f"--out={tmp_path / 'x.json'}",
        f"--answers={answers}",
        f"--endpoint={endpoint}",
        "--model=tiny",
    )
    assert done.status == 2 and "refuses with status 429" in done.err


@pytest.mark.parametrize(
    "options, sentence",
    [
        (["--out=x.txt"], "must end in .jsonl (questions) or .json"),
        (["--out=x.json"], "missing --answers"),
        (["--out=x.json", "--answers=a.jsonl", "--endpoint=http://x"], "belong together"),
        (
            ["--out=x.json", "--answers=a.jsonl", "--endpoint=file:///etc", "--model=m"],
            "is not an http address",
        ),
    ],
)
def test_bad_input_is_one_sentence(describe, tmp_path, monkeypatch, options, sentence):
    monkeypatch.chdir(tmp_path)
    done = describe(*options)
    assert done.status == 2 and sentence in done.err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("line", ["{", "[]", '{"custom_id": "x"}', '{"answer": "x"}'])
def test_a_damaged_line_of_answers_is_named(describe, tmp_path, line):
    (tmp_path / "answers.jsonl").write_text(f"\n{line}\n")
    done = describe(f"--out={tmp_path / 'x.json'}", f"--answers={tmp_path / 'answers.jsonl'}")
    assert done.status == 2 and "line 2 of" in done.err
