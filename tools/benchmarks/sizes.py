"""The sizes that everything is measured at: the paper's, on Market-1501."""

M, D, K, S, R, MARGIN = 6, 256, 10, 30.0, 3, 2.0  # patches, features, neighbours, scale, mutual ranks, margin
MARKET = 12_936  # training images of Market-1501
QUERY, GALLERY = 3_368, 15_913  # its test images
NORM_MEAN, NORM_STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]  # of images, torchreid's
