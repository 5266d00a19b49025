"""Run by a Python that has lm-eval: two tiny Llama models on two local tasks, offline, samples logged.

Usage: lm_eval_run.py QUESTIONS_FOLDER OUT_FOLDER [LIMIT]
"""

import json
import os
import subprocess
import sys
from pathlib import Path

TASK = """task: {task}
dataset_path: json
dataset_kwargs: {{data_files: {{validation: {file}}}}}
validation_split: validation
output_type: multiple_choice
doc_to_text: "{text}"
doc_to_choice: "{{{{choices}}}}"
doc_to_target: answer
metric_list:
  - {{metric: acc, aggregation: mean, higher_is_better: true}}
  - {{metric: acc_norm, aggregation: mean, higher_is_better: true}}
metadata: {{version: 1.0}}
"""
PROMPTS = {"copa": "{{context}}", "openbookqa": "{{question}}"}


def make_tasks(questions, out):
    texts = []
    for name, prompt in PROMPTS.items():
        rows = (questions / f"{name}.jsonl").read_text().splitlines()[:100]
        (out / f"{name}.jsonl").write_text("\n".join(rows) + "\n")
        texts += [json.dumps(list(json.loads(row).values())) for row in rows]
        content = TASK.format(task=f"tiny_{name}", file=out / f"{name}.jsonl", text=prompt)
        (out / f"tiny_{name}.yaml").write_text(content)
    return texts


def make_models(texts, out):
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(vocab_size=600, special_tokens=["<unk>", "<s>"], show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="<unk>", bos_token="<s>", eos_token="<s>", pad_token="<s>"
    )
    for seed in (0, 1):
        torch.manual_seed(seed)
        config = LlamaConfig(
            vocab_size=len(fast),
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=1,
            num_attention_heads=2,
            max_position_embeddings=512,
            bos_token_id=1,
            eos_token_id=1,
            initializer_range=0.3,
        )
        folder = out / "tiny" / f"llama-{seed}"
        LlamaForCausalLM(config).save_pretrained(folder)
        fast.save_pretrained(folder)


def main(questions, out, limit=None):
    out.mkdir(parents=True, exist_ok=True)
    make_models(make_tasks(questions, out), out)
    offline = {
        "HF_HUB_OFFLINE": "1",
        "HF_DATASETS_OFFLINE": "1",
        "HF_HOME": str(out / "hf"),
        "OMP_NUM_THREADS": "1",
    }
    for seed in (0, 1):
        command = [sys.executable, "-m", "lm_eval", "--model", "hf", "--device", "cpu", "--batch_size", "16"]
        command += ["--model_args", f"pretrained=tiny/llama-{seed},dtype=float32"]
        command += ["--tasks", "tiny_copa,tiny_openbookqa", "--include_path", str(out)]
        command += ["--log_samples", "--output_path", str(out / "logs"), "--seed", "0"]
        command += ["--limit", limit] if limit else []
        subprocess.run(command, check=True, cwd=out, env={**os.environ, **offline})


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve(), *sys.argv[3:4])
