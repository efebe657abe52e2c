"""What the miners of cameras compare, by loops: the camera of each row, and descriptors without its mean."""

COUNTS = [[9, 11, 5], [20, 1, 4], [3, 3, 3, 13], [25]]  # images of each camera


def cameras_of(counts):
    return [camera for camera, count in enumerate(counts) for _ in range(count)]


def unit_of(descriptors, counts):
    """Of length 1, each without its camera's mean; a camera's only one stays."""
    cameras, unit = cameras_of(counts), []
    for row, camera in enumerate(cameras):
        own = [other for other, of in enumerate(cameras) if of == camera]
        mean = sum(descriptors[other] for other in own) / len(own)
        centred = descriptors[row] - mean if len(own) > 1 else descriptors[row]
        unit.append(centred / centred.norm())
    return unit
