"""What is made when it is looked at is a sequence as any other."""

from __future__ import annotations

from filters.dedup.made import Made


def test_parts_are_made_each_time_and_are_equal_to_what_was_made_before() -> None:
    looked_at: list[int] = []

    def make(part: int) -> str:
        looked_at.append(part)
        return str(part)

    made = Made(range(3), make)
    assert looked_at == []
    assert [*made] == [*made] == ["0", "1", "2"]
    assert looked_at == [0, 1, 2, 0, 1, 2]
    assert (made[-1], [*made[1:]], "2" in made, "7" in made, len(made)) == ("2", ["1", "2"], True, False, 3)
    assert made == ["0", "1", "2"] == made
    assert made == Made(("0", "1", "2"), str)
    assert made != ["0", "1"]
    assert made != ["0", "1", "3"]
    assert hash(made) == hash(Made(range(3), str))
