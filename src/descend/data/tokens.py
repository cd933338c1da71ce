"""Tokenizers: from a text to numbers and back, learned from training texts alone, computed by the tokenizers library.

| name | a token is | source |
|---|---|---|
| `utf8` | a byte | |
| `characters` | a character that the training texts show | |
| `byte_pairs` | bytes that often stand together | Sennrich et al. 2016; over bytes, Radford et al. 2019 |
| `word_pieces` | a piece of a word, ``##`` before those inside | Schuster and Nakajima 2012; Devlin et al. 2019 |
| `words` | a word, of those seen often enough | |

All know the special tokens ``<pad>``, ``<unk>``, ``<bos>`` and ``<eos>``, by the numbers 0 … 3.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from descend.data.errors import BadData
from descend.data.vocabulary import SPECIAL, UNKNOWN


def utf8() -> Tokenizer:
    """Every text has tokens, and none is unknown; 260 in all."""
    return _bytes({}, [])


def byte_pairs(texts: Iterable[str], size: int = 8000, least: int = 2) -> Tokenizer:
    """Args: size: of the vocabulary, 260 or more; least: how often a pair must be seen to become a token."""
    if size < 260:
        raise ValueError(f"byte_pairs: a vocabulary of {size} does not hold the 256 bytes and {len(SPECIAL)} more")
    tokenizer = _bytes({}, [])
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        min_frequency=least,
        special_tokens=list(SPECIAL),
        initial_alphabet=alphabet,
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def characters(texts: Iterable[str]) -> Tokenizer:
    """One each, in the order of Unicode; others are unknown."""
    seen = sorted(set().union(*map(set, texts)))
    tokenizer = Tokenizer(models.WordLevel(_numbered(seen), unk_token=SPECIAL[UNKNOWN]))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")  # type: ignore[assignment]
    tokenizer.decoder = decoders.Fuse()  # type: ignore[assignment]
    return _with_specials(tokenizer)


def word_pieces(texts: Iterable[str], size: int = 8000, lowercase: bool = True) -> Tokenizer:
    """Args: size: of the vocabulary; lowercase: and without accents, as BERT's uncased models."""
    tokenizer = Tokenizer(models.WordPiece(_numbered([]), unk_token=SPECIAL[UNKNOWN]))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lowercase)  # type: ignore[assignment]
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()  # type: ignore[assignment]
    tokenizer.decoder = decoders.WordPiece()  # type: ignore[assignment]
    trainer = trainers.WordPieceTrainer(vocab_size=size, special_tokens=list(SPECIAL), show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def words(texts: Iterable[str], least: int = 2, lowercase: bool = True) -> Tokenizer:
    """Words and marks, the most frequent first. Args: least: how often one must be seen; others are unknown."""
    normalizer = normalizers.BertNormalizer(lowercase=lowercase, handle_chinese_chars=False)
    cut = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Punctuation()])  # type: ignore
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(word for word, _ in cut.pre_tokenize_str(normalizer.normalize_str(text)))
    often = [word for word, count in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])) if count >= least]
    tokenizer = Tokenizer(models.WordLevel(_numbered(often), unk_token=SPECIAL[UNKNOWN]))
    tokenizer.normalizer = normalizer  # type: ignore[assignment]
    tokenizer.pre_tokenizer = cut  # type: ignore[assignment]
    return _with_specials(tokenizer)


def from_json(content: str, length: int | None = None) -> Tokenizer:
    """A tokenizer as the library writes it, which cuts what is longer than ``length`` tokens, where one is given,
    and pads nothing. Of ours, a special token that is written out in a text is text; others read it as the token, as
    prompts of theirs are written so.

    Raises:
        BadData: the content is none.
    """
    try:
        tokenizer = Tokenizer.from_str(content)
    except Exception as error:  # the library raises what has no name of its own
        raise BadData(f"this is no tokenizer of the tokenizers library: {error}") from None
    tokenizer.no_padding()
    tokenizer.encode_special_tokens = [tokenizer.id_to_token(number) for number in range(len(SPECIAL))] == list(SPECIAL)
    if length is None:
        tokenizer.no_truncation()
    else:
        tokenizer.enable_truncation(length)
    return tokenizer


def _bytes(vocabulary: dict[str, int], merges: list[tuple[str, str]]) -> Tokenizer:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocabulary or _numbered(alphabet), merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)  # type: ignore[assignment]
    tokenizer.decoder = decoders.ByteLevel()  # type: ignore[assignment]
    return _with_specials(tokenizer)


def _numbered(tokens: Sequence[str]) -> dict[str, int]:
    return {token: number for number, token in enumerate((*SPECIAL, *tokens))}


def _with_specials(tokenizer: Tokenizer) -> Tokenizer:
    tokenizer.add_special_tokens(list(SPECIAL))
    return tokenizer
