"""A stand-in for the node program canvasDataCli 0.6.6: same commands, files, exit codes and faults, no network.

It imports nothing of the updater, so that what it does is judged by how the real program was measured to behave.
"""
