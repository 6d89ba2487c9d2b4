from train.errors import UserError


def test_a_message_is_one_line_that_any_terminal_prints():
    text = str(UserError("Größe 検査\n\r\x1b[2J\udc80.png: is empty"))
    assert text == r"Größe 検査\n\r\x1b[2J\udc80.png: is empty"
    assert text.encode()
