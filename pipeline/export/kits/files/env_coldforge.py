"""The environment `coldforge` for DeepEyesV2's training: it acts exactly as when the data was made.

Code runs as it is written, in one session per episode over all pictures of the question; values are shown; searches
come from the record; pictures are at the student's budget. The sandbox is `coldforge sandbox serve`. `launch.sh` puts
this file and `kit.json` into `verl/workers/agent/envs/` and names it to the registry.
"""

from __future__ import annotations

from typing import Any

from verl.workers.agent.tool_envs import ToolBase

from pipeline.export.kit_facts import KitFacts
from pipeline.rollout.episode import Episode
from pipeline.rollout.served import episode, image_file

FACTS = KitFacts.beside(__file__)
# Without `<think>` behind it: a student of our SFT rows writes it.
FRAME = "<|im_end|>\n<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"


class ColdforgeEnv(ToolBase):  # type: ignore[misc]
    """One episode per object."""

    name = "coldforge"
    episode: Episode

    def __init__(self, _name: str, _desc: str, _params: Any, **_: Any) -> None:
        super().__init__(name=self.name)

    def reset(self, *_: Any, origin_multi_modal_data: dict[str, Any], extra_info: dict[str, Any], **__: Any) -> None:
        """Begin an episode over the pictures of a question, which may have none."""
        images = [image_file(image) for image in (origin_multi_modal_data or {}).get("image", [])]
        self.episode = episode(FACTS, images, str(extra_info["index"]))

    def execute(self, action_string: str, **_: Any) -> tuple[Any, float, bool, dict[str, Any]]:
        """Return observation, reward (none here), whether the episode is over, and nothing to tell."""
        step = self.episode.step(action_string)
        if step.observation is None or step.finish is not None:
            self.close()
            return "", 0.0, True, {}
        prompt = FRAME.format(step.observation)
        if not step.pictures:
            return prompt, 0.0, False, {}
        views = self.episode.views(step.pictures)
        return {"prompt": prompt, "multi_modal_data": {"image": views}}, 0.0, False, {}

    def close(self) -> None:
        """End the session."""
        self.episode.close()
