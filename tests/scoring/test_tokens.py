from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tiny import TEXT, byte_tokenizer

from irtbench.errors import InputError
from irtbench.scoring.engine import tokens as rooms
from irtbench.scoring.engine.tokens import encode_prompts
from irtbench.scoring.prompts import Prompt


@dataclass(frozen=True)
class Reader:
    """The parts of a language model that encoding needs."""

    tokenizer: Any
    start: tuple[int, ...] = ()
    max_length: int = 10_000
    name: str = "reader"


def wrapped(tokenizer):
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="</s>")


def spaceless_bpe():
    """BPE whose tokens cross spaces and line ends: nothing splits its text."""
    from tokenizers import Tokenizer, models, trainers

    tokenizer = Tokenizer(models.BPE(unk_token="</s>"))
    tokenizer.train_from_iterator(
        [TEXT] * 3, trainers.BpeTrainer(vocab_size=300, special_tokens=["</s>"], show_progress=False)
    )
    return wrapped(tokenizer)


def sentencepiece_like():
    """Unigram with a mark for spaces that also stands before the first word."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=120, special_tokens=["</s>"], unk_token="</s>", show_progress=False
    )
    tokenizer.train_from_iterator([TEXT] * 3, trainer)
    return wrapped(tokenizer)


TOKENIZERS = {"bytes": byte_tokenizer, "spaceless": spaceless_bpe, "sentencepiece": sentencepiece_like}


@pytest.fixture(scope="module", params=TOKENIZERS)
def reader(request):
    return Reader(TOKENIZERS[request.param]())


def prompt(prefix="", stem="Question: a river?\nAnswer:", options=(" the Rhine", " a hill"), **more):
    return Prompt("q1", "set", "", prefix, stem, tuple(options), tuple(o.strip() for o in options), 0, **more)


def plain(reader, p):
    """Whole texts encoded one by one; all options from the first token that is not the context's."""
    encode = lambda text: reader.tokenizer.encode(text, add_special_tokens=False)  # noqa: E731
    context = encode(p.prefix + p.stem)
    both = [encode(p.prefix + p.stem + option) for option in p.options]
    cut = len(context)
    for whole in both:
        same = [a == b for a, b in zip(context, whole, strict=False)]
        cut = min(cut, same.index(False) if False in same else len(same))
    return context[:cut], [whole[cut:] for whole in both]


WORDS = "river", "the Rhine", "Answer:", "\n", "\n\n", " ", ":", "B.", "12345", "café", "東京", "Question"
words = st.lists(st.sampled_from(WORDS), max_size=12).map("".join)


@settings(max_examples=60, deadline=None)
@example(prefix="riverriver", stems=["", "river\n\n\n"], options=["river"])
@given(
    prefix=words,
    stems=st.lists(words, min_size=1, max_size=4),
    options=st.lists(words.filter(str.strip), min_size=1, max_size=3),
)
def test_the_shortcut_gives_what_whole_texts_give(reader, prefix, stems, options):
    prefix = TEXT + prefix
    prompts = [prompt(prefix, stem, [" " + option for option in options]) for stem in stems]
    found = encode_prompts(prompts, reader).encoded
    unigram = type(reader.tokenizer.backend_tokenizer.model).__name__ == "Unigram"
    for p, encoded in zip(prompts, found, strict=True):
        context, tokens = plain(reader, p)
        found_tokens = [option.tolist() for option in encoded.options]
        if unigram and (encoded.context.tolist(), found_tokens) != (context, tokens):
            # two breaks and one are as probable as one and two: its search breaks the tie by rounding,
            # which depends on the length of the text; the tokens are the same but for their order
            assert [sorted([*encoded.context, *x]) for x in found_tokens] == [
                sorted([*context, *x]) for x in tokens
            ]
            continue
        assert encoded.context.tolist() == context
        assert found_tokens == tokens


def test_long_prefixes_are_encoded_once(monkeypatch):
    reader = Reader(byte_tokenizer())
    seen = []
    encoder = rooms._encoder

    def counting(tokenizer):
        encode = encoder(tokenizer)
        return lambda texts: seen.extend(texts) or encode(texts)

    monkeypatch.setattr(rooms, "_encoder", counting)
    prefix = TEXT * 20
    encode_prompts([prompt(prefix, f"Question: is it {k}?\nAnswer:") for k in range(50)], reader)
    whole = 4 * len(prefix)  # the prefix, and one prompt with its two options in full
    assert sum(map(len, seen)) < whole + 50 * 250


def test_a_wrong_shortcut_is_not_taken(monkeypatch):
    reader = Reader(byte_tokenizer())
    monkeypatch.setattr(
        rooms, "_extended", lambda text, tokens, more, encode: [rooms._Joined(0, [7])] * len(more)
    )
    p = prompt(TEXT)
    encoded = encode_prompts([p], reader).encoded[0]
    assert (encoded.context.tolist(), [o.tolist() for o in encoded.options]) == plain(reader, p)


def test_bos_once():
    tokenizer = byte_tokenizer(bos=True)
    reader = Reader(tokenizer, start=(tokenizer.bos_token_id,))
    whole = tokenizer("Answer:").input_ids
    for stem in ("Answer:", "<s>Answer:"):
        encoded = encode_prompts([prompt(stem=stem)], reader).encoded[0]
        assert encoded.context.tolist() == whole


def test_an_empty_context_is_a_first_token():
    bos, eos = byte_tokenizer(bos=True), byte_tokenizer()
    for tokenizer, first in ((bos, bos.bos_token_id), (eos, eos.eos_token_id)):
        start = (first,) if tokenizer is bos else ()
        encoded = encode_prompts([prompt(stem="")], Reader(tokenizer, start)).encoded[0]
        assert encoded.context.tolist() == [first]


def test_cut_from_the_left_and_counted():
    tokenizer = byte_tokenizer(bos=True)
    start = (tokenizer.bos_token_id,)
    p = prompt(TEXT)
    full = encode_prompts([p], Reader(tokenizer, start)).encoded[0]
    longest = max(map(len, full.options))
    size = 40
    cut = encode_prompts([p], Reader(tokenizer, start, max_length=size)).encoded[0]
    assert len(cut.context) + longest - 1 == size
    assert cut.dropped == len(full.context) - len(cut.context)
    assert cut.context[0] == start[0]
    assert cut.context[1:].tolist() == full.context[-(len(cut.context) - 1) :].tolist()


@pytest.mark.parametrize(
    ("options", "size", "message"), [((" a", ""), 100, "no tokens"), ((TEXT,), 20, "too many")]
)
def test_refused(options, size, message):
    with pytest.raises(InputError, match=f"q1.*{message}"):
        encode_prompts([prompt(options=options)], Reader(byte_tokenizer(), max_length=size))


def test_options_without_their_question_are_scored_once():
    reader = Reader(byte_tokenizer())
    prompts = [prompt(stem=f"{k}:", options=(" A", " B"), unconditional="Answer:") for k in range(3)]
    prompts += [prompt(options=(" A", " B")), prompt(options=(" A", " C"), unconditional="Answer:")]
    workload = encode_prompts(prompts, reader)
    assert workload.n_prompts == 5
    assert workload.unconditional.tolist() == [5, 5, 5, -1, 6]
    assert len(workload.encoded) == 7
    assert workload.encoded[5].context.tolist() == reader.tokenizer.encode("Answer:")
    assert np.array_equal(workload.encoded[5].options[0], workload.encoded[0].options[0])
