"""The check of the numbers that a part of the method is made with."""


def check_at_least_1(whose: str, **numbers: int | None) -> None:
    """Refuses numbers below 1; None passes.

    Args:
        whose: the part, for the message.
        numbers: by the names of its arguments.

    Raises:
        ValueError: naming the first that is wrong.

    Example:
        >>> check_at_least_1('PEDALLoss', k=10, block_rows=2048)
    """
    for name, value in numbers.items():
        if value is not None and value < 1:
            raise ValueError(f'{whose}: {name} must be at least 1, got {value}')
