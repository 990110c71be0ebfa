"""Two hospitals, two rounds of FedAvg: python docs/how-to/federated.py BUNDLE OUT DATA_A DATA_B [NAME=VALUE ...]"""

import sys
from pathlib import Path

import torch
from fire.parser import DefaultParseValue
from monai.fl.client import MonaiAlgo
from monai.fl.utils.constants import ExtraItems
from monai.fl.utils.exchange_object import ExchangeObject

ROUNDS = 2


def client(bundle: Path, out: Path, data: Path, settings: dict) -> MonaiAlgo:
    """A hospital: it trains and evaluates with the bundle's train.json, on its own data."""
    given = {"bundle_root": str(bundle), "dataset_dir": str(data), "output_dir": str(out), **settings}
    algo = MonaiAlgo(
        str(bundle),
        send_weight_diff=False,
        config_evaluate_filename=["configs/train.json"],
        train_kwargs=dict(given),
        eval_kwargs=dict(given),
        eval_workflow_name="train",
    )
    algo.initialize({ExtraItems.CLIENT_NAME: out.name})
    return algo


def average(weights: list[dict], shares: list[float]) -> dict:
    """FedAvg: the mean of all clients' weights, by their numbers of cases."""
    return {name: sum(share * w[name] for w, share in zip(weights, shares, strict=True)) for name in weights[0]}


def main(bundle: str, out: str, *words: str) -> dict:
    """Gives the server's weights after the last round."""
    settings = {name: DefaultParseValue(text) for name, text in (word.split("=") for word in words if "=" in word)}
    clients = [client(Path(bundle), Path(out) / Path(d).name, Path(d), settings) for d in words if "=" not in d]
    cases = [len(algo.trainer.data_loader.dataset.data) for algo in clients]
    shares = [number / sum(cases) for number in cases]
    print(f"clients with {' and '.join(map(str, cases))} training cases")
    server = {name: torch.as_tensor(w).clone() for name, w in clients[0].get_weights().weights.items()}
    for number in range(1, ROUNDS + 1):
        sent = []
        for algo in clients:
            algo.train(ExchangeObject(weights={name: w.clone() for name, w in server.items()}))
            sent.append({name: torch.as_tensor(w).clone() for name, w in algo.get_weights().weights.items()})
        before, server = server, average(sent, shares)
        apart = max(float((sent[0][name] - sent[1][name]).abs().max()) for name in server)
        moved = max(float((server[name] - before[name]).abs().max()) for name in server)
        print(f"round {number}: clients differ by {apart:.4f}, the average has moved by {moved:.4f}")
        for algo in clients:
            found = algo.evaluate(ExchangeObject(weights={name: w.clone() for name, w in server.items()}))
            print(f"  {algo.client_name}: mean Dice {found.metrics['val_mean_dice']:.4f} with the average")
    for algo in clients:
        algo.finalize()
    return server


if __name__ == "__main__":
    main(*sys.argv[1:])
