"""What runs leave in their folders: results and a history."""

BEFORE = {'mAP': 0.3141, 'rank1': 0.5, 'rank5': 0.75, 'rank10': 0.875}
AFTER = {'mAP': 0.4, 'rank1': 0.4375, 'rank5': 0.75, 'rank10': 1.0}
RESULTS = {'direct_transfer': BEFORE, 'adapted': AFTER}


def history_of_paul(epochs=4, eval_freq=2):
    losses = {'loss': 1.5, 'pedal': 0.7, 'ipfl': 0.1, 'mined': 0.97, 'cosine': 0.06}
    history = [{'epoch': epoch, 'lr': 1e-4 / epoch, **losses} for epoch in range(1, epochs + 1)]
    for entry in history[eval_freq - 1 :: eval_freq] if eval_freq else []:
        entry.update(mAP=AFTER['mAP'], rank1=AFTER['rank1'])
    return history
