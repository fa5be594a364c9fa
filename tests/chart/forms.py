"""What the daemon takes for each key of its configuration, as JSON Schema.

Read from src/config, which names a form for every key. What a schema cannot say, such as how
long a duration may be, is left to the daemon: nothing that it takes may be refused here, but
for numbers, truths and lists written as text, which are the environment's way.
"""

import re

from chart import ROOT

SOURCE = "".join(path.read_text() for path in sorted((ROOT / "src/config").glob("*.rs")))
GUID = "[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
NO_CONTROLS = r"[^\x00-\x1f\x7f-\x9f]"


def any_case(text: str) -> str:
    return "".join(f"[{letter.upper()}{letter}]" if letter.isalpha() else letter for letter in text)


def whole_text(inner: str) -> dict:
    """The daemon takes the space around a text away."""
    return {"type": "string", "pattern": rf"^\s*({inner})\s*$"}


def duration() -> str:
    """The grammar of the crate humantime: spaces may stand anywhere but within a unit."""
    units = [
        *("ns", "nsec", "nanos", "[uµ]s", "usec", "ms", "msec", "millis", "s", "secs?", "seconds?", "m", "mins?", "minutes?"),
        *("h", "hrs?", "hours?", "d", "days?", "w", "wks?", "weeks?", "M", "months?", "y", "yrs?", "years?"),
    ]
    return rf"0|(\d[\d\s]*(\.\s*\d[\d\s]*)?({'|'.join(units)})\s*)+"


def cron() -> dict:
    """The grammar of the crate croner with five fields or six. Names of days and months become
    numbers wherever they stand; which words are names, and which range is none, it judges."""
    name = r"\d*([A-Za-z]{3}\d*)+"
    step = rf"(0*[1-9]\d*|{name})"

    def field(numbers: str, stars: str = r"\*", more: str = "", suffix: str = "") -> str:
        number = rf"(0*({numbers})|{name})"
        one = rf"({stars}/{step}{suffix}|{number}(-{number})?(/{step})?{suffix}{more.format(number=number)})"
        return rf"({stars}|,*{one}(,+{one})*,*|,+)"

    minute = field(r"[0-5]?\d")
    hour = field(r"1?\d|2[0-3]")
    day = field(r"[1-9]|[12]\d|3[01]", r"[*?]", r"|[Ll]|{number}[Ww][^\s,]*")
    month = field(r"[1-9]|1[0-2]")
    weekday = r"\+?" + field("[0-7]", r"[*?]", r"|[Ll]|{number}[Ll]([^\s,]*[Ll])?", r"(#0*[1-5]|#[^\s,]*[Ll])?")
    names = "|".join(map(any_case, ("yearly", "annually", "monthly", "weekly", "daily", "hourly")))
    fields = r"\s+".join([minute, hour, day, month, weekday])
    return whole_text(rf"off|@({names})|({minute}\s+)?{fields}")


def service() -> dict:
    """Plain http is for this machine alone; what begins with a digit or bracket may be that."""
    http, localhost = any_case("http"), any_case("localhost")
    return whole_text(rf"{http}[Ss]:[^?#]+|{http}:[/\\]*({localhost}|[\d\[%])[^?#]*")


# The forms that are named more than once, or long.
DEFINITIONS = {"duration": whole_text(duration()), "cron": cron()}


def number(written: str) -> int:
    if written == "u32::MAX":
        return 2**32 - 1
    return int(written.replace("_", "").removesuffix(".0"))


def words(kind: str) -> list[str]:
    """The labels of a closed set."""
    [body] = re.findall(rf"^    {kind} \{{\n((?:        .*\n)+)    \}}", SOURCE, re.M)
    return re.findall(r'= "(\w+)"', body)


def schema(form: str, arguments: str) -> dict | None:
    """A form as a schema; none for those of keys that other values of the chart decide."""
    match form:
        case "whole":
            least, greatest = map(number, arguments.split("..="))
            return {"type": "integer", "minimum": least, "maximum": greatest}
        case "percent":
            return {"type": "number", "exclusiveMinimum": 0, "maximum": number(arguments)}
        case "truth":
            return {"type": "boolean"}
        case "word":
            return {"enum": words(arguments.split("::")[0])}
        case "object_ids":
            return {"type": "array", "items": whole_text(rf"{GUID}|[0-9a-fA-F]{{32}}|\{{{GUID}\}}|urn:uuid:{GUID}")}
        case "time_zone":
            return whole_text("[A-Za-z][A-Za-z0-9_+/-]*")
        case "name":
            return whole_text(NO_CONTROLS + "{0,200}")
        case "service":
            return service()
        case "interval":
            return whole_text(f"off|{duration()}")
        case "duration" | "cron":
            return {"$ref": f"#/definitions/{form}"}
    return None


def declared() -> dict[str, dict]:
    """What each key takes."""
    one = r"(\w+)(?:\(((?:[^()]|\(\))*)\))?\)"
    found = {key: schema(form, arguments) for key, form, arguments in re.findall(rf'from\.get\("([a-z_.]+)", {one}', SOURCE)}
    # The guard names its limits in pairs, and both forms once.
    [most], [share] = (re.findall(rf"from\.get\({name}, {one}", SOURCE) for name in ("max", "share"))
    for pair in re.findall(r'\["(guard\.\w+_max)", "(guard\.\w+_percent)"\]', SOURCE):
        found |= {pair[0]: schema(*most), pair[1]: schema(*share)}
    return {key: known for key, known in found.items() if known}


FORMS = declared()
