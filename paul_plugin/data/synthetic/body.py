"""The body of a person in one pose."""

import math
from functools import lru_cache

from PIL import Image, ImageDraw

from .canvas import CANVAS, MIDDLE, Point, between, limb, tone, upright
from .people import Person, Piece


@lru_cache(maxsize=512)
def _cloth(piece: Piece, shade: float, back: bool = False) -> Image.Image:
    """The piece's colour and pattern on a whole canvas, to be cut out along a body part."""
    width, height = CANVAS
    cloth = Image.new('RGBA', CANVAS, tone(piece.colour, shade))
    draw = ImageDraw.Draw(cloth)
    second = tone(piece.second, shade)
    thick = piece.period // 2
    if piece.pattern in ('horizontal', 'checks'):
        for y in range(0, height, piece.period):
            draw.rectangle((0, y, width, y + thick), fill=second)
    if piece.pattern in ('vertical', 'checks'):
        for x in range(3, width, piece.period):
            draw.rectangle((x, 0, x + thick - 2, height), fill=second)
    if piece.pattern == 'blocks':
        # the seam lies at the waist's height for tops and above the knee for trousers
        for top, bottom in ((88, 150), (190, height)):
            draw.rectangle((0, top, width, bottom), fill=second)
    if piece.pattern == 'logo' and not back:
        draw.rectangle((64 - thick, 74, 64 + thick, 74 + piece.period), fill=second)
    return cloth


class Body:
    """A person in one pose, drawn upright on a transparent canvas.

    Args:
        person: who it is.
        facing: walking direction in radians: 0 towards the camera, pi/2 to the right, pi away.
        swing: angle of the near leg from the vertical, radians.

    Attributes:
        image: RGBA, of the size of `CANVAS`.
    """

    def __init__(self, person: Person, facing: float, swing: float):
        self.person, self.swing = person, swing
        self.toward, self.across = math.cos(facing), math.sin(facing)
        self.image = Image.new('RGBA', CANVAS)
        self.pen = ImageDraw.Draw(self.image)
        foot = CANVAS[1] - 6.0
        self.tall = 236 * person.height
        self.top = foot - self.tall
        self.shoulder, self.hip = self.top + 0.175 * self.tall, foot - self.tall * person.legs
        breadth = 0.6 + 0.4 * abs(self.toward)  # seen from the side a person is narrower
        padding = 1.08 if person.upper.kind in ('jacket', 'coat') else 1
        self.wide = 0.108 * self.tall * person.build * breadth * padding
        self.waist = 0.085 * self.tall * person.build * breadth
        self._draw()

    def _draw(self) -> None:
        bag, back = self.person.bag.kind, self.toward < -0.2
        if bag == 'backpack' and not back:
            self._backpack(back)
        self._leg(-1, 0.72)
        self._leg(1, 0.94)
        self._arm(self._arm_joints(-1), 0.75)
        self._trunk()
        if bag == 'backpack' and back:
            self._backpack(back)
        if bag == 'shoulder':
            self._shoulder_bag()
        self._head()
        near_arm = self._arm_joints(1)
        self._arm(near_arm, 0.84)
        if bag == 'handheld':
            self._handheld_bag(*near_arm[2])

    def _wear(self, piece: Piece, polygon: list[Point], shade: float = 1.0, back: bool = False) -> None:
        mask = Image.new('L', CANVAS)
        ImageDraw.Draw(mask).polygon(polygon, fill=255)
        self.image.paste(_cloth(piece, shade, back), (0, 0), mask)

    def _bare(self, polygon: list[Point], shade: float) -> None:
        self.pen.polygon(polygon, fill=tone(self.person.skin, shade))

    def _hang(self, start: Point, bones: tuple[float, float], angles: tuple[float, float], out: float) -> list[Point]:
        """The joints of two bones hanging from `start`; `out` spreads them as seen from the front."""
        points = [start]
        for bone, angle in zip(bones, angles):
            x, y = points[-1]
            points.append(
                (
                    x + bone * (self.across * math.sin(angle) + out * abs(self.toward)),
                    y + bone * math.cos(angle),
                )
            )
        return points

    def _leg(self, side: int, shade: float) -> None:
        person, angle = self.person, side * self.swing
        start = (MIDDLE + side * self.waist * 0.5 * abs(self.toward), self.hip)
        bone = self.tall * person.legs / 2 - 4
        bend = max(0.0, -angle) * 1.1  # of the rear leg's knee
        joints = self._hang(start, (bone, bone), (angle, angle - bend), side * 0.03)
        thigh, knee, ankle = (share * (self.tall * person.build) for share in (0.052, 0.036, 0.024))
        if person.lower.kind == 'trousers':
            self._wear(person.lower, limb(joints, [thigh + 1.5, knee + 1.5, ankle + 1.5]), shade)
        else:
            self._bare(limb(joints, [thigh, knee, ankle]), shade)
        if person.lower.kind == 'shorts':
            self._wear(person.lower, limb(joints[:2], [thigh + 3, knee + 4]), shade)
        if person.shoes.kind == 'boot':
            self._wear(person.shoes, limb([between(*joints[1:], 0.4), joints[2]], [knee, ankle + 2]), shade)
        x, y = joints[2]
        toe = 9 * self.across
        self.pen.ellipse(
            (x - 7 + min(toe, 0), y - 4, x + 7 + max(toe, 0), y + 7), fill=tone(person.shoes.colour, shade)
        )

    def _arm_joints(self, side: int) -> list[Point]:
        angle = -side * self.swing * 0.9
        start = (
            MIDDLE + side * (self.wide - 0.02 * self.tall) * abs(self.toward),
            self.shoulder + 0.03 * self.tall,
        )
        return self._hang(start, (0.17 * self.tall, 0.15 * self.tall), (angle, angle + 0.35), side * 0.13)

    def _arm(self, joints: list[Point], shade: float) -> None:
        upper = self.person.upper
        widths = [0.034 * self.tall * self.person.build, 0.027 * self.tall, 0.02 * self.tall]
        x, y = joints[2]
        self.pen.ellipse((x - 5, y - 5, x + 5, y + 6), fill=tone(self.person.skin, shade))
        if upper.kind in ('t-shirt', 'top'):
            self._bare(limb(joints, widths), shade)
        else:
            self._wear(upper, limb(joints, [width + 2 for width in widths]), shade)
        if upper.kind == 't-shirt':
            sleeve = [joints[0], between(*joints[:2], 0.75)]
            self._wear(upper, limb(sleeve, [widths[0] + 1, widths[1] + 3]), shade)

    def _trunk(self) -> None:
        upper, wide, waist, shoulder = self.person.upper, self.wide, self.waist, self.shoulder
        if self.person.lower.kind == 'skirt':
            hem = self.hip + 0.2 * self.tall
            self._wear(self.person.lower, upright([self.hip - 8, hem], [waist, waist * 1.5]), 0.97)
        hem = self.hip + self.tall * {'coat': 0.2, 'jacket': 0.05}.get(upper.kind, 0.02)
        flare = waist * {'coat': 1.3, 'jacket': 1.15}.get(upper.kind, 1.05)
        strap = 0.55 if upper.kind == 'top' else 1
        self._wear(
            upper,
            upright(
                [shoulder - 5, shoulder + 5, shoulder + 0.1 * self.tall, hem],
                [0.35 * wide, wide * strap, wide * 0.95, flare],
            ),
            back=self.toward < 0,
        )
        if upper.kind in ('jacket', 'coat') and self.toward > 0.25:
            shirt = upright([shoulder - 4, hem], [wide * 0.32, 3], MIDDLE + self.across * wide * 0.5)
            self.pen.polygon(shirt, fill=upper.second)
        if self.person.bag.kind == 'backpack' and self.toward > 0.25:
            for x in (MIDDLE - 0.6 * wide, MIDDLE + 0.6 * wide):
                strap = (x, shoulder, x, shoulder + 0.17 * self.tall)
                self.pen.line(strap, fill=self.person.bag.colour, width=6)

    def _head(self) -> None:
        hair, skin, pen = self.person.hair, self.person.skin, self.pen
        x, top, rx, ry = MIDDLE + 3 * self.across, self.top, 0.052 * self.tall, 0.07 * self.tall
        y = top + ry
        pen.rectangle((x - 0.5 * rx, y, x + 0.5 * rx, top + 0.18 * self.tall), fill=tone(skin, 0.8))
        if hair.kind == 'long':
            left, right = x - 1.15 * rx - 4 * max(self.across, 0), x + 1.15 * rx + 4 * max(-self.across, 0)
            pen.rounded_rectangle((left, y - 0.3 * ry, right, top + 0.22 * self.tall), 6, fill=hair.colour)
        if hair.kind == 'bun':
            bun = x - 8 * self.across
            pen.ellipse((bun - 6, top - 8, bun + 6, top + 6), fill=hair.colour)
        pen.ellipse((x - rx, top, x + rx, top + 2 * ry), fill=hair.colour)
        if self.toward > -0.5:
            # the face shows less of itself the further the head turns away
            shown = rx * (0.45 + 0.4 * max(self.toward, 0))
            face = x + self.across * (rx - shown)
            pen.ellipse((face - shown, top + 0.5 * ry, face + shown, top + 2.05 * ry), fill=skin)
        if hair.kind == 'cap':
            cap, brim = tone(hair.second, 0.9), x + self.across * rx
            pen.pieslice((x - rx - 1, top - 2, x + rx + 1, top + 1.9 * ry), 180, 360, fill=cap)
            if self.toward > -0.5:
                pen.ellipse((brim - rx, y - 3, brim + rx, y + 2), fill=tone(cap, 0.7))

    def _backpack(self, back: bool) -> None:
        colour, top, bottom = self.person.bag.colour, self.shoulder, self.hip
        x, half = MIDDLE - self.across * self.wide, (0.8 if back else 0.6) * self.wide
        self.pen.rounded_rectangle(
            (x - half, top + 2, x + half, bottom - 8), 8, fill=colour, outline=tone(colour, 0.65)
        )
        if back:
            self.pen.rectangle(
                (x - half * 0.6, (top + bottom) / 2, x + half * 0.6, bottom - 14), fill=tone(colour, 0.65)
            )

    def _shoulder_bag(self) -> None:
        colour, dark = self.person.bag.colour, tone(self.person.bag.colour, 0.65)
        x = MIDDLE + self.wide * 0.95 * (1 if self.toward >= 0 else -1)
        self.pen.line((2 * MIDDLE - x, self.shoulder, x, self.hip - 14), fill=dark, width=5)
        self.pen.rounded_rectangle((x - 13, self.hip - 18, x + 13, self.hip + 16), 4, fill=colour, outline=dark)

    def _handheld_bag(self, x: float, y: float) -> None:
        colour = self.person.bag.colour
        self.pen.rectangle((x - 11, y + 2, x + 11, y + 30), fill=colour, outline=tone(colour, 0.6))
