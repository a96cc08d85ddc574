"""SeqGAN: the policy gradient held to exact enumeration, the roll-outs, the phases, and errors of public code."""

import copy
import itertools
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from engine_helpers import assert_same_state
from torch import Tensor

from ganeval.errors import UsageError
from ganeval.results import Evaluation
from reference_models import SEQUENCE_METRICS, VARIANTS, build_model, sample_sequences, start, train, train_and_score
from reference_models.batches import SequenceData, Sequences
from reference_models.blocks.oracle import Oracle
from reference_models.blocks.sequences import TokenCNN, TokenLSTM, draw
from reference_models.data.tokens import load_tokens
from reference_models.engine.checkpoint import load_model
from reference_models.engine.diagnostics import Diagnostics
from reference_models.engine.loop import Intervals
from reference_models.engine.plan import TrainingPlan, make_plan
from reference_models.engine.training import Training
from reference_models.models.seqgan import SeqGAN
from reference_models.models.seqgan_recipes import PAPER, QUICK, Settings
from reference_models.recipes import Latent
from reference_models.sampling.sampler import Sampler

PHASES = ("likelihood", "pretraining", "adversarial")
SMALL = Settings(
    embedding=4,
    hidden=4,
    discriminator_embedding=3,
    filters=2,
    likelihood=2,
    pretraining=2,
    adversarial=2,
    discriminator_updates=2,
    rollouts=3,
)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def model_of(vocabulary: int = 5, length: int = 6, *, seed: int = 0, **settings: object) -> SeqGAN:
    """A tiny model; its generator's weights are large enough for a law far from uniform."""
    torch.manual_seed(seed)
    recipe = replace(
        QUICK,
        latent=Latent(length, "uniform", (0.0, 1.0)),
        batch=8,
        steps=6,
        settings=replace(SMALL, deviation=0.7, **settings),  # type: ignore[arg-type]
    )
    model = build_model(recipe, SequenceData(length, tuple(map(str, range(vocabulary)))))
    assert isinstance(model, SeqGAN)
    return model


def training_of(**settings: object) -> Training:
    """A training of six steps, two for each phase."""
    spec = "oracle:5,6,40"
    recipe = replace(model_of(**settings).recipe, data=spec)  # type: ignore[arg-type]
    return Training(TrainingPlan(recipe=recipe, data=spec, seed=1), load_tokens(spec))


def every_sequence(vocabulary: int, length: int) -> Tensor:
    return torch.tensor(list(itertools.product(range(vocabulary), repeat=length)))


def flat(gradients: Iterator[Tensor | None] | tuple[Tensor, ...]) -> Tensor:
    return torch.cat([one.flatten() for one in gradients if one is not None])


def test_probabilities_of_all_sequences_sum_to_one() -> None:
    """The likelihood is that of a law over sequences."""
    model = model_of(3, 4)
    assert model.log_likelihood(every_sequence(3, 4)).double().sum(1).exp().sum().item() == pytest.approx(1, abs=1e-5)


def test_the_lstm_is_torchs() -> None:
    """With the same weights, and one bias set to 0, torch.nn.LSTM gives the same logits."""
    model = TokenLSTM(7, 5, 6, deviation=0.5, rng=rng())
    peer = torch.nn.LSTM(5, 6, batch_first=True)
    # torch orders the gates as input, forget, candidate, output.
    order = torch.cat([torch.arange(0, 12), torch.arange(18, 24), torch.arange(12, 18)])
    with torch.no_grad():
        peer.weight_ih_l0.copy_(model.of_input.T[order])
        peer.weight_hh_l0.copy_(model.of_state.T[order])
        peer.bias_ih_l0.copy_(model.bias[order])
        peer.bias_hh_l0.zero_()
    tokens = torch.randint(7, (4, 9), generator=rng())
    before = torch.cat([torch.zeros(4, 1, dtype=torch.int64), tokens[:, :-1]], 1)
    expected = peer(model.embedding[before])[0] @ model.output + model.output_bias
    assert torch.allclose(model(tokens), expected, atol=1e-6)


def test_samples_follow_the_likelihood_at_every_temperature() -> None:
    """The shares of all 27 sequences are their probabilities, with the logits scaled as asked."""
    model, count = model_of(3, 3), 20_000
    for alpha in (0.5, 1.0, 2.0):
        with torch.no_grad():
            drawn = model.generate(model.latent(count, rng=rng()), alpha=alpha)
            chances = model.log_likelihood(every_sequence(3, 3), alpha=alpha).sum(1).exp()
        shares = (drawn @ torch.tensor([9, 3, 1])).bincount(minlength=27) / count
        # Five standard errors of a share.
        assert ((shares - chances).abs() < 5 * (chances * (1 - chances) / count).sqrt() + 1e-9).all()


def test_a_token_is_the_inverse_of_the_cumulative_distribution() -> None:
    """The same uniform number gives the same token, and a token without probability is not drawn."""
    logits = torch.tensor([-math.inf, 0.0, math.log(3.0), -math.inf]).repeat(5, 1)
    uniform = torch.tensor([0.0, 0.2, 0.3, 0.9, 1 - 2**-24])
    assert draw(logits, uniform).tolist() == [1, 1, 2, 2, 2]


def test_the_policy_gradient_is_that_of_the_expected_reward() -> None:
    """With rewards that are the expected verdict, its mean over samples is the exact gradient, for V 3 and T 3."""
    model = model_of(3, 3, rollouts=1)
    sequences, parameters = every_sequence(3, 3), tuple(model.generator.parameters())
    with torch.no_grad():
        verdicts = (3 * model.discriminator(sequences)).sigmoid()
    chances = model.log_likelihood(sequences).sum(1).exp()
    exact = flat(torch.autograd.grad((chances * verdicts).sum(), parameters))

    # The estimator of the loss, for every sequence, with its roll-outs replaced by all completions.
    chances = chances.detach()
    values = torch.empty(len(sequences), 3)
    for row, sequence in enumerate(sequences):
        for known in (1, 2, 3):
            same = (sequences[:, :known] == sequence[:known]).all(1)
            values[row, known - 1] = (chances * verdicts)[same].sum() / chances[same].sum()
    gain = (model.log_likelihood(sequences) * values).sum(1)
    assert torch.allclose(flat(torch.autograd.grad((chances * gain).sum(), parameters)), exact, atol=1e-6)


def test_the_loss_has_that_gradient_within_monte_carlo_error() -> None:
    """With sampled sequences and sampled roll-outs, the mean of `loss_generator`'s gradient is the exact one."""
    model = model_of(3, 3, rollouts=1)
    sequences, parameters = every_sequence(3, 3), tuple(model.generator.parameters())
    with torch.no_grad():
        # A discriminator with an opinion.
        model.discriminator.output.weight.mul_(100)
        model.discriminator.output.bias[1] -= model.discriminator(sequences).median()
        verdicts = model.discriminator(sequences).sigmoid()
    assert verdicts.std() > 0.1
    chances = model.log_likelihood(sequences).sum(1).exp()
    exact = -flat(torch.autograd.grad((chances * verdicts).sum(), parameters)) * model.recipe.batch
    batch, random, found = Sequences(torch.zeros(50, 3, dtype=torch.int64)), rng(), []
    for _ in range(250):
        loss, _ = model.loss_generator(batch, random)
        found.append(flat(torch.autograd.grad(loss, parameters)))
    draws = torch.stack(found)
    errors = draws.std(0) / len(draws) ** 0.5
    apart = (draws.mean(0) - exact).abs() / errors.clamp(min=1e-7)
    # The largest of 200 standard normal numbers, which are correlated, is below 4.5 in all but 1 of 1,000 cases.
    assert apart.max() < 4.5
    assert (exact.abs() / errors.clamp(min=1e-7)).max() > 10


def test_roll_outs_keep_the_beginning_and_complete_the_rest() -> None:
    """Entry t - 1 has the first t tokens, t = 1 .. T - 1; what follows is sampled from the law given them."""
    model = model_of(3, 3).rollout
    tokens = torch.tensor([[0, 1, 2], [2, 2, 2]])
    with torch.no_grad():
        rolled = model.roll_out(tokens, 4000, rng())
        sequences = every_sequence(3, 3)
        chances = model.log_likelihood(sequences).sum(1).exp()
    assert rolled.shape == (2, 4000, 2, 3)
    for known in (1, 2):
        for row in (0, 1):
            found = rolled[known - 1, :, row]
            assert (found[:, :known] == tokens[row, :known]).all()
            same = (sequences[:, :known] == tokens[row, :known]).all(1)
            expected = torch.where(same, chances, torch.zeros(())) / chances[same].sum()
            shares = (found @ torch.tensor([9, 3, 1])).bincount(minlength=27) / 4000
            assert ((shares - expected).abs() <= 5 * (expected * (1 - expected) / 4000).sqrt() + 1e-9).all()


@pytest.mark.parametrize("length", [1, 2, 3, 12])
def test_each_token_has_a_reward_of_its_own(length: int) -> None:
    """Token T gets the verdict on the sequence, earlier ones the mean verdict on roll-outs, for any T (not only 20).

    suragnair/seqGAN rewards the sequence alone; the authors' code has T = 20 written out.
    """
    model = model_of(4, length)
    tokens = model.drawn(5, rng())
    rewards = model.rewards(tokens, rng(1))
    assert rewards.shape == (5, length)
    with torch.no_grad():
        assert torch.equal(rewards[:, -1], model.discriminator(tokens).sigmoid())
        if length > 1:
            rolled = model.rollout.roll_out(tokens, 3, rng(1))
            for known in range(1, length):
                naive = torch.stack([model.discriminator(rolled[known - 1, copy]).sigmoid() for copy in range(3)])
                assert torch.allclose(rewards[:, known - 1], naive.mean(0), atol=1e-6)
            assert not torch.allclose(rewards[:, 0], rewards[:, -1])


def test_roll_outs_are_written_by_the_copy() -> None:
    """The copy decides how a sequence is completed, not the generator."""
    model = model_of()
    tokens, before = model.drawn(5, rng()), model.rewards(model.drawn(5, rng()), rng(1))
    with torch.no_grad():
        model.generator.output.mul_(-1)
    assert torch.equal(model.rewards(tokens, rng(1)), before)
    model.rollout.output.mul_(-1)
    assert not torch.equal(model.rewards(tokens, rng(1))[:, 0], before[:, 0])


def test_the_copy_lags_and_its_embedding_does_not() -> None:
    """After a policy gradient it is 0.8 x itself + 0.2 x the generator; the embedding is the generator's.

    In the authors' code the update is computed and never used, so that nothing lags.
    """
    training = training_of()
    model = training.model
    assert isinstance(model, SeqGAN)
    for _ in range(4):
        training.advance()
    old = copy.deepcopy(dict(model.generator.named_parameters()))
    training.advance()
    new = dict(model.generator.named_parameters())
    for name, buffer in model.rollout.named_buffers():
        expected = new[name] if name == "embedding" else 0.8 * old[name] + 0.2 * new[name]
        assert torch.allclose(buffer, expected, atol=1e-6), name
        assert not torch.equal(old[name], new[name]), name


def test_the_adversarial_phase_begins_with_a_copy_of_the_pretrained_generator() -> None:
    """Through the other phases the copy follows without a lag."""
    training = training_of()
    model = training.model
    assert isinstance(model, SeqGAN)
    for step in range(4):
        training.advance()
        model.begin(step + 1)
        assert_same_state(dict(model.rollout.named_buffers()), dict(model.generator.state_dict()))


def test_the_generators_loss_is_a_sum_and_its_likelihood_a_mean() -> None:
    """The policy's loss sums over batch and tokens, whatever the parts of a batch; the likelihood's is per token."""
    model = model_of(reward="constant")
    batch = Sequences(torch.zeros(8, 6, dtype=torch.int64))
    tokens = model.drawn(8, rng(3))
    loss, _ = model.loss_generator(batch, rng(3))
    assert loss.item() == pytest.approx(-0.5 * model.log_likelihood(tokens).sum().item(), rel=1e-5)
    halves = [model.loss_generator(half, rng(3))[0] for half in batch.split(2)]
    assert halves[0].item() == pytest.approx(
        -0.5 * model.log_likelihood(model.drawn(4, rng(3))).sum().item() * 2, rel=1e-5
    )
    likelihood, _ = model.loss_likelihood(Sequences(tokens), rng())
    assert likelihood.item() == pytest.approx(-model.log_likelihood(tokens).mean().item(), rel=1e-6)


def test_the_controls_have_no_use_for_a_discriminator() -> None:
    """Constant rewards are 1/2, random ones are uniform for each token."""
    tokens = torch.zeros(500, 6, dtype=torch.int64)
    assert (model_of(reward="constant").rewards(tokens, rng()) == 0.5).all()
    random = model_of(reward="random").rewards(tokens, rng())
    assert random.mean().item() == pytest.approx(0.5, abs=0.03)
    assert random.std(0).min() > 0.25


def test_a_verdict_is_without_dropout() -> None:
    """Rewards do not depend on the training mode; the discriminator's own loss does."""
    model = model_of(rollouts=2, dropout=0.5)
    tokens = model.drawn(5, rng())
    assert torch.equal(model.train().rewards(tokens, rng(1)), model.eval().rewards(tokens, rng(1)))
    batch = Sequences(tokens)
    torch.manual_seed(0)
    assert model.train().loss_discriminator(batch, rng())[0] != model.eval().loss_discriminator(batch, rng())[0]


def test_the_penalty_is_on_the_output_layer_alone() -> None:
    """0.2 x half the squared length of its weights and biases, as TensorFlow's l2_loss has it."""
    model = model_of(l2=0.2, dropout=0.0).eval()
    batch = Sequences(model.drawn(5, rng()))
    plain = replace(model.settings, l2=0.0)
    with_penalty = model.loss_discriminator(batch, rng())[0].item()
    model.settings = plain
    weights = [*model.discriminator.output.parameters()]
    expected = 0.1 * sum(one.square().sum().item() for one in weights)
    assert with_penalty - model.loss_discriminator(batch, rng())[0].item() == pytest.approx(expected, rel=1e-3)


def test_the_gradient_is_clipped() -> None:
    """The moments of Adam after one update are those of a gradient of norm 5; the log has the norm before."""
    training = training_of(clip=0.01)
    norm = float(training.advance()["grad/likelihood"])
    state = training.tools.optimizers["likelihood"].state.values()
    moment = torch.cat([one["exp_avg"].flatten() for one in state]).norm().item() / (1 - 0.9)
    assert norm > 0.02
    assert moment == pytest.approx(0.01, rel=1e-3)


def test_the_generator_has_two_optimizers() -> None:
    """The policy gradient begins with moments of its own."""
    training = training_of()
    for _ in range(5):
        training.advance()
    steps = {
        name: {int(one["step"]) for one in optimizer.state.values()}
        for name, optimizer in training.tools.optimizers.items()
    }
    assert steps == {"likelihood": {2}, "discriminator": {4}, "generator": {1}}


def test_phases_keep_their_shares_in_a_run_of_another_length() -> None:
    """A third each in six steps, in twelve, and in three."""
    model = model_of()
    for steps in (3, 6, 12):
        model.recipe = replace(model.recipe, steps=steps)
        found = [model.phase(step) for step in range(steps)]
        assert found == [phase for phase in PHASES for _ in range(steps // 3)]


def test_the_papers_phases() -> None:
    """120 epochs of 156 batches; 150 of the discriminator; 200 rounds of one step against 15 epochs."""
    assert (PAPER.settings.likelihood, PAPER.settings.pretraining, PAPER.settings.adversarial) == (  # type: ignore[attr-defined]
        120 * 156,
        150 * 156,
        200,
    )
    assert PAPER.settings.discriminator_updates == 15 * 156  # type: ignore[attr-defined]
    assert PAPER.steps == 120 * 156 + 150 * 156 + 200


def test_the_papers_parameters_by_hand() -> None:
    """One bias per gate; 1,720 filters over 12 widths, a highway layer with two maps, two outputs."""
    counts = {1: 100, 2: 200, 3: 200, 4: 200, 5: 200, 6: 100, 7: 100, 8: 100, 9: 100, 10: 100, 15: 160, 20: 160}
    filters = sum(counts.values())
    generator = 5000 * 32 + 4 * (32 * 32 + 32 * 32 + 32) + 32 * 5000 + 5000
    discriminator = 5000 * 64 + sum(64 * width * count + count for width, count in counts.items())
    discriminator += 2 * (filters * filters + filters) + 2 * filters + 2
    model = build_model(PAPER, SequenceData(20, tuple(map(str, range(5000)))))
    assert isinstance(model, SeqGAN)
    found = {player.name: sum(one.numel() for one in player.parameters) for player in model.players()}
    assert found == {"likelihood": generator, "discriminator": discriminator, "generator": generator}
    assert found == VARIANTS["seqgan"].parameters
    assert {layer.weight.shape[2]: len(layer.weight) for layer in model.discriminator.convolutions} == counts  # type: ignore[arg-type, union-attr, index]


def test_filters_are_no_wider_than_sequences() -> None:
    """Widths beyond the length are left out."""
    assert isinstance(model_of(5, 6).discriminator, TokenCNN)
    assert [layer.kernel_size[0] for layer in model_of(5, 6).discriminator.convolutions] == [1, 2, 3, 4, 5, 6]  # type: ignore[union-attr, index, operator]


def test_a_latent_has_a_number_per_token() -> None:
    """Another size is refused with both numbers."""
    with pytest.raises(UsageError, match="its latent, which has 12, but these sequences have 6 tokens"):
        build_model(QUICK, SequenceData(6, ("0", "1")))


@pytest.mark.parametrize("stop", range(1, 6))
def test_a_run_that_stops_in_any_phase_is_resumed_bit_for_bit(stop: int) -> None:
    """Weights, moments, the copy that rolls out, dropout's and the losses' random states."""
    whole, stopped = training_of(), training_of()
    logs = [whole.advance() for _ in range(6)]
    for _ in range(stop):
        stopped.advance()
    resumed = training_of()
    resumed.restore(copy.deepcopy(stopped.state()))
    torch.manual_seed(123)
    again = [resumed.advance() for _ in range(6 - stop)]
    assert_same_state(whole.state(), resumed.state())
    assert_same_state([{key: float(value) for key, value in line.items()} for line in logs[stop:]],
                      [{key: float(value) for key, value in line.items()} for line in again])  # fmt: skip


@pytest.mark.parametrize("phase", PHASES)
def test_a_number_that_is_not_finite_is_told_with_its_phase(phase: str) -> None:
    """The phase, the player's loss and the tensor are named."""
    training = training_of()
    for _ in range(2 * PHASES.index(phase)):
        training.advance()
    network = "discriminator.embedding.weight" if phase == "pretraining" else "generator.embedding"
    with torch.no_grad():
        dict(training.model.named_parameters())[network].fill_(math.nan)
    logs = {key: float(value) for key, value in training.advance().items()}
    (found,) = Diagnostics().logs(training.step, logs, training.model)
    player = {"likelihood": "likelihood", "pretraining": "discriminator"}.get(phase, "")
    assert found.alarm == "divergence"
    assert f"loss/{player}" in found.saw
    assert f"in the phase '{phase}'" in found.saw
    assert network in found.saw


def test_a_run_writes_sequences_and_is_sampled(tmp_path: Path) -> None:
    """As text, as it trains and afterwards; the model knows its vocabulary, and makes no images."""
    settings = {name: getattr(SMALL, name) for name in ("embedding", "hidden", "filters", "rollouts")}
    settings |= {"likelihood": 2, "pretraining": 2, "adversarial": 2, "discriminator_updates": 2}
    chosen = {"steps": 6, "batch": 8, **{f"settings.{name}": value for name, value in settings.items()}}
    plan = make_plan("seqgan", data="oracle:5,6,40", chosen=chosen)
    quiet = Intervals(log_every=1, sample_every=3, save_every=1)
    whole = start(plan, tmp_path / "whole", intervals=quiet)
    whole.run()
    assert (tmp_path / "whole/samples/step-00000003.txt").read_text().count("\n") == 100
    model = load_model(tmp_path / "whole/checkpoints/last.pt")
    assert model.data == load_tokens("oracle:5,6,40").data
    sample_sequences(tmp_path / "whole", tmp_path / "drawn.txt", num_samples=7, alpha=2.0, device="cpu")
    lines = (tmp_path / "drawn.txt").read_text().splitlines()
    assert [len(line.split()) for line in lines] == [6] * 7
    with pytest.raises(UsageError, match=r"`ganeval sample RUN -o FILE.txt` writes its sequences"):
        Sampler(model)
    with pytest.raises(UsageError, match=r"written to a \.txt"):
        sample_sequences(tmp_path / "whole", tmp_path / "drawn.png")


def test_it_is_scored_next_to_real_sequences(tmp_path: Path) -> None:
    """All four metrics, their floor, samples and the result; metrics and options of images are refused."""
    small = {"steps": 3, "batch": 8, "settings.filters": 2, "settings.discriminator_updates": 1}
    found = train_and_score(
        "seqgan", tmp_path / "run", data="oracle:5,6,60,3", chosen=small, num_samples=20, device="cpu"
    )
    assert list(found.scores.evaluation.metrics) == ["nll_test", "nll_oracle", "bleu", "self_bleu"]
    assert list(found.scores.floor.metrics) == list(found.scores.evaluation.metrics)
    assert found.scores.evaluation["nll_oracle"].options == {"oracle": "oracle:5,6,60,3"}
    assert found.scores.floor["nll_test"].value == found.scores.floor["nll_oracle"].value
    lines = (tmp_path / "run/samples.txt").read_text().splitlines()
    own, real = found.report_data().texts
    assert list(own.lines) == lines[: len(own.lines)]
    assert own.heading == "written by the model"
    # All that are held out.
    assert (len(own.lines), len(real.lines)) == (24, 6)
    read = Evaluation.from_json((tmp_path / "run/result.json").read_text())
    assert read["bleu"].value == found.scores.evaluation["bleu"].value
    text = tmp_path / "text.txt"
    text.write_text("a b c\n" * 10 + "b a\n" * 10)
    with pytest.raises(UsageError, match="'nll_oracle' cannot be measured here: the training sequences are of no"):
        train_and_score("seqgan", tmp_path / "b", data=f"text:{text}", chosen=small, metrics=["nll_oracle"])
    listed = ", ".join(SEQUENCE_METRICS)
    with pytest.raises(UsageError, match=rf"metrics of sequences \({listed}\), .* leave --extractor out"):
        train_and_score("seqgan", tmp_path / "b", chosen=small, extractor="digits")
    with pytest.raises(UsageError, match="'fid' is not a metric of sequences"):
        train_and_score("seqgan", tmp_path / "b", chosen=small, metrics=["fid"])
    with pytest.raises(UsageError, match="sequences, which take no resolution"):
        train_and_score("seqgan", tmp_path / "b", chosen={**small, "resolution": 8})
    with pytest.raises(
        UsageError, match="'self_bleu' cannot be measured here: it takes 3 sequences or more, but those"
    ):
        train_and_score("seqgan", tmp_path / "b", chosen=small, metrics=["self_bleu"], num_samples=2, device="cpu")
    few = train_and_score("seqgan", tmp_path / "few", data="oracle:5,6,60", chosen=small, num_samples=2, device="cpu")
    assert list(few.scores.evaluation.metrics) == ["nll_test", "nll_oracle", "bleu"]
    (tmp_path / "two.txt").write_text("a b\nb a\n")
    with pytest.raises(
        UsageError, match=r"No metric can be measured here .*bleu: it takes 2 sequences or more, but the"
    ):
        train_and_score("seqgan", tmp_path / "b", data=f"text:{tmp_path / 'two.txt'}", chosen={**small, "batch": 2})
    assert not (tmp_path / "b").exists()
    train("seqgan", tmp_path / "unscored", data=f"text:{tmp_path / 'two.txt'}", chosen={**small, "batch": 2})
    found = train_and_score("seqgan", tmp_path / "c", data=f"text:{text}", chosen=small, device="cpu")
    assert list(found.scores.evaluation.metrics) == ["bleu", "self_bleu"]
    assert found.training.plan.recipe.latent.size == 3


def test_an_oracle_is_a_function_of_its_spec() -> None:
    """The same sequences whatever the random state; held-out ones are others of the same law."""
    torch.manual_seed(5)
    first = Oracle.of("oracle:5,6,40").tokens()
    torch.manual_seed(6)
    assert torch.equal(first, Oracle.of("oracle:5,6,40,0,0").tokens())
    assert torch.equal(first[10:], Oracle.of("oracle:5,6,30,0,10").tokens())
    assert str(Oracle.of("oracle:5,6,40").held_out) == "oracle:5,6,4,0,40"
    assert not torch.equal(first, Oracle.of("oracle:5,6,40,1").tokens())


def test_an_oracles_weights_are_standard_normal_and_do_not_learn() -> None:
    """N(0, 1) for all of them, biases among them, and no parameter."""
    network = Oracle.of("oracle:1000,5,1").network()
    assert not list(network.parameters())
    drawn = torch.cat([one.flatten() for one in network.buffers()])
    assert drawn.mean().item() == pytest.approx(0, abs=0.02)
    assert drawn.std().item() == pytest.approx(1, abs=0.02)
