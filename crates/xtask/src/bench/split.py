"""Writes each message of a tree of mbox files to a file of its own: split.py MBOX_TREE OUT."""

import mailbox
import os
import sys

tree, out = sys.argv[1:]
count = 0
for person in sorted(os.listdir(tree)):
    for name in sorted(os.listdir(os.path.join(tree, person))):
        if not name.endswith(".mbox"):
            continue
        folder = os.path.join(out, person, name[: -len(".mbox")])
        os.makedirs(folder)
        box = mailbox.mbox(os.path.join(tree, person, name), create=False)
        for key in box.iterkeys():
            # The line ends of the wire, as Mailkeep stores them.
            message = box.get_bytes(key).replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
            with open(os.path.join(folder, f"{key:06}.eml"), "wb") as file:
                file.write(message)
            count += 1
print(count)
