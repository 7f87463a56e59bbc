"""Load the registered model as a data scientist does, and let it answer a prompt.

    python -m pipeline.local.ask_model --model edgar.models.risk_analyst --alias challenger

Prints one JSON object: version, prompt, completion. Identity and endpoints come from the
environment, as for any client (`eval "$(python -m pipeline.local env)"`); mlflow finds, downloads
and loads the version by its alias.
"""

import argparse
import json

# The form of Prepare's examples (docs/data.md), which the model was trained on.
PROMPT = (
    "Below is one risk factor from the 10-K of EXAMPLE FOODS INC. for 2024. "
    "Write its heading as the company has it: a sentence, seldom two, that states the risk and "
    "what it could do to the company, or a short title.\n\n"
    "We depend on a small number of suppliers, and interruptions of our supply chain may "
    "affect it in ways that we cannot "
    "predict. Although we maintain insurance and controls, they may not be sufficient to "
    "cover every loss. Any of these "
    "events could reduce our revenue and profitability."
)
_NEW_TOKENS = 32


def main() -> None:
    """Load, predict, print."""
    parser = argparse.ArgumentParser(
        prog="python -m pipeline.local.ask_model", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--model", required=True, help="catalog.schema.model")
    parser.add_argument("--alias", required=True, help="the alias to load")
    parser.add_argument(
        "--prompt", default=PROMPT, help="what to ask (default: a short risk factor)"
    )
    arguments = parser.parse_args()
    result = answer(arguments.model, arguments.alias, arguments.prompt)
    print(json.dumps(result))  # noqa: T201 - the command's result


def answer(model: str, alias: str, prompt: str) -> dict[str, str]:
    """Return the version of an alias, and its completion of one prompt."""
    import mlflow
    import pandas as pd

    version = mlflow.MlflowClient().get_model_version_by_alias(model, alias)
    loaded = mlflow.pyfunc.load_model(
        f"models:/{model}@{alias}",
        suppress_warnings=True,  # else it reads the file list of every installed package (2 s)
    )
    completions = loaded.predict(
        pd.DataFrame({"prompt": [prompt]}), params={"max_new_tokens": _NEW_TOKENS}
    )
    return {
        "version": str(version.version),
        "prompt": prompt,
        "completion": str(next(iter(completions))),
    }


if __name__ == "__main__":
    main()
