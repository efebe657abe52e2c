"""A test describes by a copy of the model, made once for it, and leaves none behind."""

import torch


def test_each_test_makes_a_copy_of_the_weights_that_it_finds(make_engine, make_datamanager):
    engine, calls, given = make_engine(make_datamanager(batch_size_test=4)), [], []
    model, extract = engine.model, engine.extract_features
    model.backbone.conv1.bn.register_forward_hook(lambda *_: calls.append(1))

    def extracted(images):
        given.append((images, extract(images)))
        return given[-1][1]

    engine.extract_features = extracted
    for _ in range(2):
        calls.clear()
        given.clear()
        engine.test(dist_metric='cosine')
        assert engine.model is model
        assert engine.in_test is None
        assert len(given) > 4
        assert len(calls) == 2  # to see what can be folded, and to compare: no batch
        images, descriptors = given[-1]
        with torch.no_grad():
            torch.testing.assert_close(descriptors, model.eval()(images), rtol=0, atol=1e-5)
            model.backbone.conv1.conv.weight.mul_(-1)
